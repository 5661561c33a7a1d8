// SPDX-License-Identifier: MIT
#ifndef SLUICE_POSTGRES_DETAIL_CLIENT_HPP
#define SLUICE_POSTGRES_DETAIL_CLIENT_HPP

#include <libpq-fe.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

#include <sluice/error.hpp>
#include <sluice/remote/breaker.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/postgres/detail/connection.hpp>
#include <sluice/postgres/detail/pool.hpp>
#include <sluice/postgres/detail/target.hpp>
#include <sluice/postgres/postgres_options.hpp>
#include <sluice/postgres/postgres_stats.hpp>
#include <sluice/postgres/schema.hpp>

namespace sluice::postgres {

/// What all copies of a PostgresStore share: the connections of this process, the breaker and the counters. Thread-safe.
class Client {
public:
    Client(const std::string& connection_string, PostgresOptions options)
        : target_(connection_string), options_(std::move(options)), breaker_(options_.checked().breaker) {}
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;
    ~Client() {
        Pool* const pool = pool_.load(std::memory_order_acquire);
        if (pool != nullptr && !pool->is_inherited()) delete pool;
    }

    const PostgresOptions& options() const noexcept { return options_; }

    /// Runs one statement (see Connection::run); the breaker may answer instead of the server. May throw std::bad_alloc.
    template <class Send>
    Answer run(Send send, const detail::remote::Deadline& deadline) {
        Answer answer;
        const auto permit = breaker_.ask(deadline.start(), options_.timeout);
        if (permit == detail::remote::Breaker::Permit::none) {
            answer.error = Errc::breaker_open;
        } else {
            try {
                run(send, deadline, answer);
            } catch (...) {
                breaker_.report(permit, detail::remote::Breaker::Evidence::nothing, detail::remote::Breaker::Clock::now());
                throw;
            }
            report(answer, permit);
        }
        count(answer.error ? failures_ : statements_);
        return answer;
    }

    std::error_code ping(const detail::remote::Deadline& deadline) {
        Answer answer;
        run([](PGconn* connection) { return PQsendQuery(connection, "SELECT 1"); }, deadline, answer);
        report(answer, detail::remote::Breaker::Permit::normal);
        return answer.error;
    }

    /// On a connection of its own.
    std::error_code ensure_schema(const detail::remote::Deadline& deadline) {
        Connection connection;
        Answer answer;
        count(dials_);
        Dialer dialer{target_};
        if (const auto error = dialer.dial(connection, deadline)) return error;
        const auto run = [&](const std::string& text) {
            connection.run([&](PGconn* to) { return PQsendQuery(to, text.c_str()); }, deadline, answer);
        };
        run(schema_test(options_.schema));
        if (answer.error || answer.value == "t") return answer.error;
        run(schema_transaction(options_.schema, options_.logged));
        return answer.error;
    }

    PostgresStats stats() const noexcept {
        PostgresStats stats;
        stats.statements = statements_.load(std::memory_order_relaxed);
        stats.failures = failures_.load(std::memory_order_relaxed);
        stats.dials = dials_.load(std::memory_order_relaxed);
        stats.breaker_openings = breaker_.openings();
        stats.breaker_is_open = breaker_.is_open();
        if (const Pool* const pool = pool_.load(std::memory_order_acquire))
            stats.connections = pool->open_connections();
        return stats;
    }

private:
    template <class Send>
    void run(Send send, const detail::remote::Deadline& deadline, Answer& answer) {
        Pool& pool = this->pool();
        const auto give_back = [&](Connection* lent) { pool.give_back(lent); };
        const std::unique_ptr<Connection, decltype(give_back)> connection{pool.take(deadline), give_back};
        if (!connection) {
            answer.error = Errc::busy;
            answer.sqlstate = waited_in_vain;
            return;
        }
        for (int attempt = 0; attempt != 2; ++attempt) {
            if (connection->is_open() && connection->is_stale()) connection->close();
            if (!connection->is_open()) {
                count(dials_);
                answer = {};
                answer.error = pool.dialer().dial(*connection, deadline);
                if (answer.error) return;
            }
            connection->run(send, deadline, answer);
            if (!is_worth_a_retry(answer.sqlstate) || deadline.has_passed()) return;
        }
    }

    /// This process' own connections. Those inherited through fork() are closed, and left where they are: threads of
    /// the parent were in the middle of using them.
    Pool& pool() {
        Pool* known = pool_.load(std::memory_order_acquire);
        if (known != nullptr && !known->is_inherited()) [[likely]]
            return *known;
        auto fresh = std::make_unique<Pool>(target_, options_.connections);
        if (!pool_.compare_exchange_strong(known, fresh.get(), std::memory_order_acq_rel)) return *known;
        if (known != nullptr) known->abandon();
        return *fresh.release();
    }

    void report(const Answer& answer, detail::remote::Breaker::Permit permit) noexcept {
        using Evidence = detail::remote::Breaker::Evidence;
        auto evidence = answer.error && !is_about_the_key(answer.sqlstate) ? Evidence::failure : Evidence::answer;
        if (answer.sqlstate == waited_in_vain) evidence = Evidence::nothing;  // others will report
        breaker_.report(permit, evidence, detail::remote::Breaker::Clock::now());
    }

    static void count(std::atomic<std::uint64_t>& counter) noexcept { counter.fetch_add(1, std::memory_order_relaxed); }

    static constexpr const char* waited_in_vain = "-----";  // no SQLSTATE of a server's

    Target target_;
    PostgresOptions options_;
    detail::remote::Breaker breaker_;
    std::atomic<std::uint64_t> statements_{0};
    std::atomic<std::uint64_t> failures_{0};
    std::atomic<std::uint64_t> dials_{0};
    std::atomic<Pool*> pool_{nullptr};
};

}  // namespace sluice::postgres

#endif
