// SPDX-License-Identifier: MIT
#ifndef SLUICE_POSTGRES_POSTGRES_STORE_HPP
#define SLUICE_POSTGRES_POSTGRES_STORE_HPP

#include <libpq-fe.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/postgres/detail/client.hpp>
#include <sluice/postgres/detail/statement.hpp>
#include <sluice/postgres/postgres_options.hpp>
#include <sluice/postgres/postgres_policy.hpp>
#include <sluice/postgres/postgres_stats.hpp>
#include <sluice/store.hpp>

namespace sluice {

/// States in a Postgres database (13 or later), shared by all processes that use it: one limit for all instances.
///
///     sluice::PostgresStore postgres{"host=/var/run/postgresql dbname=app"};
///     if (auto error = postgres.ensure_schema()) ...                          // once; or run schema_sql() yourself
///     sluice::RateLimiter api{sluice::TokenBucket{10, sluice::per_second(1)}, postgres, {.name = "api"}};
///
/// A handle: copies share the connections. Thread-safe; no background thread; may be used in a forked child, which gets
/// connections of its own. The constructor never dials, and works while the server is away.
///
/// Cost: one statement and one round trip for a decision, and a row for each key. A denial writes nothing and takes no
/// lock; of an exact log every admission writes all times anew. A call takes no longer than PostgresOptions::timeout.
/// Works through PgBouncer in any pooling mode: nothing is prepared by name or set for longer than a transaction.
///
/// Time is the server's, in microseconds; the arithmetic is that of the memory store, on nanoseconds. Where time goes
/// back, a key is used up at most. Rows that are as good as new are removed, a few whenever a new key is added. The table
/// is UNLOGGED unless PostgresOptions::logged: a crash of the server empties it and a replica does not have it, so
/// that every limit starts afresh once. Keys hold up to 1,024 bytes of any kind, else Errc::invalid_argument.
///
/// Failure: the Decision carries an Errc, and the limiter's failure mode decides. Errc::unsupported means that the schema
/// is missing. A statement is sent a second time only if the server has told that it changed nothing. After some
/// failures in a row the server is left alone for a moment (Errc::breaker_open, at once); locks on single rows do not
/// count (Errc::busy).
///
/// A transaction says itself that it is READ COMMITTED, whatever the database's default is.
class PostgresStore {
public:
    /// A connection string or URI as libpq takes it; with several hosts the one that accepts writes is used. Throws
    /// std::invalid_argument for one that cannot be parsed (the text never shows it) and for bad options.
    explicit PostgresStore(std::string_view connection_string, PostgresOptions options = {})
        : client_(std::make_shared<postgres::Client>(std::string{connection_string}, std::move(options))) {}

    template <Policy P>
    Decision decide(const Request<P>& request) const noexcept {
        return decide(request, std::nullopt);
    }

    /// At a time of the caller's instead of the server's, for tests and replays: one key must not mix the two. Its rows
    /// live for an hour at least.
    template <Policy P>
    Decision decide_at(const Request<P>& request, std::chrono::nanoseconds now) const noexcept {
        return decide(request, std::optional{now});
    }

    /// One statement for up to 128 keys.
    template <Policy P>
    void decide_many(const Request<P>& request, std::span<const std::string_view> keys,
                     std::span<Decision> out) const noexcept {
        decide_many(request, std::nullopt, keys, out);
    }
    template <Policy P>
    void decide_many_at(const Request<P>& request, std::chrono::nanoseconds now, std::span<const std::string_view> keys,
                        std::span<Decision> out) const noexcept {
        decide_many(request, std::optional{now}, keys, out);
    }

    /// Creates what is missing of schema_sql() in one transaction; many processes may call it at once. The user has to be
    /// allowed to create. Takes a connection of its own for a moment.
    [[nodiscard]] std::error_code ensure_schema(std::chrono::nanoseconds timeout = std::chrono::seconds{
                                                    10}) const noexcept {
        return guarded([&] { return client_->ensure_schema(detail::remote::Deadline{timeout}); });
    }

    /// Whether the server answers: for health checks. Asks even while the breaker is open.
    std::error_code ping(std::chrono::nanoseconds timeout) const noexcept {
        return guarded([&] { return client_->ping(detail::remote::Deadline{timeout}); });
    }

    PostgresStats stats() const noexcept { return client_->stats(); }

private:
    static constexpr std::size_t batch = 128;
    static constexpr std::size_t longest_key = 1'024;  // an index entry of Postgres holds some 2,700 bytes
    static constexpr std::chrono::nanoseconds latest{std::chrono::seconds{4'102'444'800}};  // 2100: sums stay in range

    template <Policy P>
    Decision decide(const Request<P>& request, std::optional<std::chrono::nanoseconds> now) const noexcept {
        Decision decision;
        run(request, {&request.key, 1}, {&decision, 1}, now, detail::remote::Deadline{client_->options().timeout});
        return decision;
    }

    template <Policy P>
    void decide_many(const Request<P>& request, std::optional<std::chrono::nanoseconds> now,
                     std::span<const std::string_view> keys, std::span<Decision> out) const noexcept {
        const detail::remote::Deadline deadline{client_->options().timeout};
        for (std::size_t done = 0; done < keys.size(); done += batch) {
            const std::size_t count = std::min(batch, keys.size() - done);
            run(request, keys.subspan(done, count), out.subspan(done, count), now, deadline);
        }
    }

    template <Policy P>
    void run(const Request<P>& request, std::span<const std::string_view> keys, std::span<Decision> out,
             std::optional<std::chrono::nanoseconds> now, const detail::remote::Deadline& deadline) const noexcept {
        const auto error = guarded([&] { return ask(request, keys, out, now, deadline); });
        for (std::size_t i = 0; i != keys.size(); ++i) {
            if (error) out[i] = failure(error);
            if (keys[i].size() > longest_key) out[i] = failure(Errc::invalid_argument);
        }
    }

    /// Decides on the keys that are not too long, or returns an error. May throw std::bad_alloc.
    template <Policy P>
    std::error_code ask(const Request<P>& request, std::span<const std::string_view> keys, std::span<Decision> out,
                        std::optional<std::chrono::nanoseconds> now, const detail::remote::Deadline& deadline) const {
        // Everyone asks for rows in the order of their keys, so that no two calls wait for each other's rows; the same
        // key several times is asked for in the order given.
        std::array<std::uint8_t, batch> order;
        static_assert(batch <= 256);
        std::size_t count = 0;
        for (std::size_t i = 0; i != keys.size(); ++i) {
            if (keys[i].size() <= longest_key) order[count++] = static_cast<std::uint8_t>(i);
        }
        if (count == 0) return {};
        std::sort(order.begin(), order.begin() + count,
                  [&](auto a, auto b) { return keys[a] != keys[b] ? keys[a] < keys[b] : a < b; });

        postgres::Parts parts;
        PostgresPolicy<P>::parts(request.scope.policy, parts);
        if (now) now = std::clamp(*now, std::chrono::nanoseconds{0}, latest);
        postgres::Statement statement{client_->options().schema, request.scope.id};
        for (std::size_t i = 0; i != count; ++i) statement.add_key(keys[order[i]]);
        statement.finish(parts, request.operation, request.units, now);

        const auto send = [&](PGconn* to) {
            const auto left = deadline.remaining();
            // Locks twice at most: behind others that wait for the row, and for the row.
            return PQsendQuery(to, statement.text(left * 2 / 5, left).c_str());
        };
        const auto answer = client_->run(send, deadline);
        if (answer.error) return answer.error;
        postgres::Numbers numbers{answer.value};
        for (std::size_t i = 0; i != count; ++i) {
            Decision& decision = out[order[i]];
            decision = {};
            if (request.operation != Operation::reset) decision = conclude(request, numbers);
        }
        return numbers.is_valid() ? std::error_code{} : make_error_code(Errc::protocol);
    }

    /// The policy's own decision on the state that the server saw.
    template <Policy P>
    static Decision conclude(const Request<P>& request, postgres::Numbers& numbers) {
        const P& policy = request.scope.policy;
        const std::chrono::nanoseconds now{numbers.next()};
        const bool allowed = numbers.next() != 0;
        std::vector<std::int64_t> seen(std::min<std::size_t>(static_cast<std::size_t>(numbers.next()), 1'024));
        for (std::int64_t& number : seen) number = numbers.next();
        if (!numbers.is_valid()) return {};
        if (request.operation == Operation::refund) return {};

        typename P::State state{};
        if (!seen.empty()) {
            postgres::Seen read{seen};
            state = PostgresPolicy<P>::state(policy, read);
        }
        if (request.operation == Operation::peek) return sluice::peek(policy, state, now, request.units);
        if constexpr (GrowingPolicy<P>) policy.reserve(state, now, request.units);
        Decision decision = policy.step(state, now, request.units);
        // The server has already acted. It counts as the policy does; if it ever did not, its word would hold.
        if (decision.allowed != allowed) return failure(Errc::protocol);
        return decision;
    }

    template <class F>
    static std::error_code guarded(F f) noexcept {
        try {
            return f();
        } catch (...) {
            return Errc::no_memory;
        }
    }

    std::shared_ptr<postgres::Client> client_;
};

}  // namespace sluice

#endif
