// SPDX-License-Identifier: MIT
#ifndef SLUICE_POSTGRES_DETAIL_CLIENT_HPP
#define SLUICE_POSTGRES_DETAIL_CLIENT_HPP

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

#include <sluice/error.hpp>
#include <sluice/postgres/detail/connection.hpp>
#include <sluice/postgres/detail/pool.hpp>
#include <sluice/postgres/detail/sweeper.hpp>
#include <sluice/postgres/detail/target.hpp>
#include <sluice/postgres/postgres_options.hpp>
#include <sluice/postgres/postgres_stats.hpp>
#include <sluice/remote/breaker.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/remote/per_process.hpp>

namespace sluice::detail::postgres {

/// What all copies of a PostgresStore share: the connections of this process, the breaker and the counters. Thread-safe.
class Client {
public:
    using Deadline = detail::remote::Deadline;
    using Breaker = detail::remote::Breaker;

    Client(const std::string& connection_string, PostgresOptions options)
        : target_(connection_string), options_(std::move(options)), breaker_(options_.checked().breaker) {}

    const PostgresOptions& options() const noexcept { return options_; }
    Sweeper& sweeper() noexcept { return sweeper_; }

    /// Runs the SQL that `text(time left)` returns; the breaker may answer instead of the server. May throw std::bad_alloc.
    template <class Text>
    Answer run(Text text, const Deadline& deadline) {
        Answer answer;
        const auto permit = breaker_.ask(deadline.start(), options_.timeout);
        if (permit == Breaker::Permit::none) {
            answer.error = Errc::breaker_open;
        } else {
            auto evidence = Breaker::Evidence::nothing;
            try {
                evidence = run(text, deadline, answer);
            } catch (...) {
                breaker_.report(permit, evidence, Breaker::Clock::now());
                throw;
            }
            breaker_.report(permit, evidence, Breaker::Clock::now());
        }
        if (!answer.error) count(statements_);
        return answer;
    }

    /// On a connection of its own, whatever the breaker says.
    Answer run_apart(const std::string& text, const Deadline& deadline) {
        const std::string* const one[] = {&text};
        return run_apart(one, deadline);
    }
    /// The second only if the first one's value is not t.
    std::error_code ensure_schema(const Deadline& deadline) {
        const std::string test = schema_test(options_.schema);
        const std::string creation = schema_transaction(options_.schema, options_.logged);
        const std::string* const both[] = {&test, &creation};
        return run_apart(both, deadline).error;
    }

    PostgresStats stats() const noexcept {
        PostgresStats stats;
        stats.statements = statements_.load(std::memory_order_relaxed);
        stats.failures = failures_.load(std::memory_order_relaxed);
        stats.dials = dials_.load(std::memory_order_relaxed);
        stats.breaker_openings = breaker_.openings();
        stats.breaker_is_open = breaker_.is_open();
        if (const Pool* const pool = pool_.peek()) {
            stats.connections = pool->open_connections();
            stats.waiting = pool->waiting();
        }
        return stats;
    }
    void count_failure() noexcept { count(failures_); }

private:
    template <class Text>
    Breaker::Evidence run(Text text, const Deadline& deadline, Answer& answer) {
        using Evidence = Breaker::Evidence;
        Pool& pool =
            pool_.get([&] { return std::make_unique<Pool>(target_, options_.connections, options_.max_waiting); });
        const auto give_back = [&](Lane* lent) { pool.give_back(lent); };
        for (;;) {
            const std::unique_ptr<Lane, decltype(give_back)> lane{pool.take(deadline), give_back};
            if (!lane) {
                answer.error = Errc::busy;
                return Evidence::nothing;  // those that have the connections will report
            }
            const auto evidence = run(text, pool, *lane, deadline, answer);
            if (!lane->could_not_dial || pool.open_connections() == 0) return evidence;
            // Refused while others serve, as by a server that has no more connections: wait for one of those.
            if (deadline.has_passed()) return Evidence::nothing;
        }
    }

    template <class Text>
    Breaker::Evidence run(Text text, Pool& pool, Lane& lane, const Deadline& deadline, Answer& answer) {
        using Evidence = Breaker::Evidence;
        // Began when much of the time had gone, as the end of a long batch does: a timeout tells nothing.
        const bool is_late = 2 * deadline.remaining() < options_.timeout;
        for (int attempt = 0; attempt != 2; ++attempt) {
            make_ready(pool, lane, deadline, answer);
            if (answer.error) break;
            const auto left = deadline.remaining();
            if (left < least_time) {
                answer.error = Errc::timeout;
                return Evidence::nothing;
            }
            lane.connection.run(text(left), deadline, answer);
            lane.last_used = Deadline::Clock::now();
            if (answer.error == Errc::read_only || answer.error == Errc::loading) pool.dialer().retire(lane.route);
            if (!is_worth_a_retry(answer.sqlstate)) break;
        }
        if (!answer.error && sweeper_.is_due(lane.last_used)) {
            lane.connection.run_later(sweeper_.text(options_.schema));
        }
        if (!answer.error || is_about_the_request(answer)) {
            const bool is_slow = deadline.start() + options_.timeout / 2 < Deadline::Clock::now();
            return is_slow && !is_late && !answer.error ? Evidence::slow_answer : Evidence::answer;
        }
        return is_late && answer.error == Errc::timeout ? Evidence::nothing : Evidence::failure;
    }

    /// Opens the lane's connection unless it is open and can be trusted.
    void make_ready(Pool& pool, Lane& lane, const Deadline& deadline, Answer& answer) {
        Connection& connection = lane.connection;
        if (connection.is_open() && connection.owes_answer()) {
            connection.fetch_answer(deadline, answer);
            if (!answer.error) sweeper_.learn(answer.value);
        }
        answer = {};
        if (connection.is_open() && (Deadline::Clock::now() - lane.last_used > options_.max_idle ||
                                     pool.dialer().is_retired(lane.route) || connection.is_stale())) {
            connection.close();
        }
        if (connection.is_open()) return;
        count(dials_);
        answer.error = pool.dialer().dial(connection, lane.route, deadline);
        lane.could_not_dial = bool{answer.error};
    }

    template <std::size_t n>
    Answer run_apart(const std::string* const (&texts)[n], const Deadline& deadline) {
        Connection connection;
        Dialer dialer{target_};
        Dialer::Route route;
        Answer answer;
        count(dials_);
        answer.error = dialer.dial(connection, route, deadline);
        for (const std::string* const text : texts) {
            if (answer.error || answer.value == "t") break;
            connection.run(*text, deadline, answer);
        }
        return answer;
    }

    /// The server is well: no reason for the breaker to keep other keys away.
    static bool is_about_the_request(const Answer& answer) noexcept {
        return !answer.sqlstate.empty() && classify(answer.sqlstate).concerns == ErrorReport::Concerns::request;
    }
    static void count(std::atomic<std::uint64_t>& counter) noexcept { counter.fetch_add(1, std::memory_order_relaxed); }

    static constexpr std::chrono::microseconds least_time{200};  // no server answers in less

    Target target_;
    PostgresOptions options_;
    Breaker breaker_;
    Sweeper sweeper_;
    std::atomic<std::uint64_t> statements_{0};
    std::atomic<std::uint64_t> failures_{0};
    std::atomic<std::uint64_t> dials_{0};
    detail::remote::PerProcess<Pool> pool_;
};

}  // namespace sluice::detail::postgres

#endif
