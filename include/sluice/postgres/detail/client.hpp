// SPDX-License-Identifier: MIT
#ifndef SLUICE_POSTGRES_DETAIL_CLIENT_HPP
#define SLUICE_POSTGRES_DETAIL_CLIENT_HPP

#include <cstddef>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

#include <sluice/error.hpp>
#include <sluice/postgres/detail/call_set.hpp>
#include <sluice/postgres/detail/connection.hpp>
#include <sluice/postgres/detail/dialer.hpp>
#include <sluice/postgres/detail/session.hpp>
#include <sluice/postgres/detail/sweeper.hpp>
#include <sluice/postgres/detail/target.hpp>
#include <sluice/postgres/postgres_options.hpp>
#include <sluice/postgres/postgres_stats.hpp>
#include <sluice/postgres/schema.hpp>
#include <sluice/remote/breaker.hpp>
#include <sluice/remote/combiner.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/remote/per_process.hpp>

namespace sluice::detail::postgres {

/// What the combiner works with.
struct Link {
    using Server = postgres::Server;
    using Call = postgres::Call;
    using CallSet = postgres::CallSet;
    using Connection = Session;
};

/// What all copies of a PostgresStore share: the connections of this process, the breaker and the counters. Thread-safe.
class Client {
public:
    using Deadline = detail::remote::Deadline;

    Client(const std::string& connection_string, PostgresOptions options)
        : target_(connection_string), options_(std::move(options)), breaker_(options_.checked().breaker) {}

    const PostgresOptions& options() const noexcept { return options_; }
    Sweeper& sweeper() noexcept { return sweeper_; }

    /// Leads a call to its answer; the breaker may answer instead of the server. May throw std::bad_alloc.
    void run(Call& call, const Deadline& deadline) {
        Node& node = node_.get([&] { return std::make_unique<Node>(*this); });
        for (;;) {
            call.was_refused = false;
            node.combiner.run({&call, 1}, deadline);
            // Refused while others serve: wait for one of those.
            if (!call.was_refused || node.combiner.open_connections() == 0 || deadline.has_passed()) return;
        }
    }

    /// On a connection of its own, whatever the breaker says.
    std::error_code run_apart(const std::string& sql, const Deadline& deadline) {
        const std::string* const one[] = {&sql};
        return run_apart(one, deadline);
    }
    /// The second only if the first one's value is not t.
    std::error_code ensure_schema(const Deadline& deadline) {
        const std::string test = schema_test(options_.schema);
        const std::string creation = schema_transaction(options_.schema, options_.logged);
        const std::string* const both[] = {&test, &creation};
        return run_apart(both, deadline);
    }

    PostgresStats stats() const noexcept {
        PostgresStats stats;
        stats.statements = counters_.statements.load(std::memory_order_relaxed);
        stats.failures = counters_.failures.load(std::memory_order_relaxed);
        stats.dials = counters_.dials.load(std::memory_order_relaxed);
        stats.breaker_openings = breaker_.openings();
        stats.breaker_is_open = breaker_.is_open();
        if (const Node* const node = node_.peek()) {
            stats.connections = node->combiner.open_connections();
            stats.waiting = node->combiner.waiting();
        }
        return stats;
    }
    void count_failure() noexcept { Counters::add(counters_.failures); }

private:
    struct Node {
        explicit Node(Client& client)
            : server{client.target_, client.options_, client.counters_, client.sweeper_},
              combiner(server, client.breaker_) {}
        void abandon() noexcept { combiner.abandon(); }

        Server server;
        detail::remote::Combiner<Link> combiner;
    };

    template <std::size_t n>
    std::error_code run_apart(const std::string* const (&texts)[n], const Deadline& deadline) {
        Connection connection;
        Dialer dialer{target_};
        Dialer::Route route;
        Answer answer;
        Counters::add(counters_.dials);
        answer.error = dialer.dial(connection, route, deadline);
        for (const std::string* const text : texts) {
            if (answer.error || answer.value == "t") break;
            connection.run(*text, deadline, answer);
        }
        return answer.error;
    }

    const Target target_;
    const PostgresOptions options_;
    detail::remote::Breaker breaker_;
    Sweeper sweeper_;
    Counters counters_;
    detail::remote::PerProcess<Node> node_;
};

}  // namespace sluice::detail::postgres

#endif
