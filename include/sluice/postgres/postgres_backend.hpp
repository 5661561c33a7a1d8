// SPDX-License-Identifier: MIT
#ifndef SLUICE_POSTGRES_POSTGRES_BACKEND_HPP
#define SLUICE_POSTGRES_POSTGRES_BACKEND_HPP

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/operate.hpp>
#include <sluice/postgres/detail/client.hpp>
#include <sluice/postgres/detail/statement.hpp>
#include <sluice/postgres/postgres_options.hpp>
#include <sluice/postgres/postgres_policy.hpp>
#include <sluice/postgres/postgres_stats.hpp>
#include <sluice/remote/cas_store.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/remote/key_locks.hpp>
#include <sluice/store.hpp>

namespace sluice::detail::postgres {

/// What RemoteStore runs: requests become calls of decide_2, and what it answers becomes Decisions. Thread-safe.
class PostgresBackend {
public:
    using Deadline = detail::remote::Deadline;
    using Now = std::optional<std::chrono::nanoseconds>;

    static constexpr std::size_t max_key_bytes = 1'024;  // an index entry of Postgres holds some 2,700 bytes
    static constexpr std::size_t max_keys = 128;

    PostgresBackend(const std::string& connection_string, PostgresOptions options)
        : client_(connection_string, std::move(options)) {}

    std::chrono::nanoseconds timeout() const noexcept { return client_.options().timeout; }
    PostgresStats stats() const noexcept { return client_.stats(); }
    void count_failure(const std::error_code&) noexcept { client_.count_failure(); }
    std::error_code ensure_schema(const Deadline& deadline) { return client_.ensure_schema(deadline); }

    /// Runs what decisions need, in a scope that no limiter has but by the accident of a hash.
    std::error_code ping(const Deadline& deadline) {
        const FixedWindow policy{std::uint64_t{1} << 52, std::chrono::seconds{1}};
        const Request<FixedWindow> request{{"ping", policy, 0}, "ping"};
        Parts parts;
        PostgresPolicy<FixedWindow>::parts(policy, MaxDelay::max(), parts);
        Statement statement{client_.options().schema, "decide_2", 0};
        statement.finish(parts, request, {});
        CallSet calls;
        const std::array only{calls.add(statement.call({&request.key, 1}))};
        const auto left = deadline.remaining();
        return client_.run_apart(transaction_settings(left, left) + calls.statement(only), deadline);
    }

    template <Policy P>
    void check(const Scope<P>& scope) const {
        static_assert(
            SqlPolicy<P> || StateCodec<P>,
            "sluice: PostgresStore needs to know this policy's state as integers: give the policy (of an AllOf, "
            "each part) encode(const State&) and decode(), see StateCodec in sluice/policy.hpp");
        if constexpr (SqlPolicy<P>) {
            if (const std::string_view problem = PostgresPolicy<P>::problem(scope.policy); !problem.empty()) {
                throw std::invalid_argument("sluice: PostgresStore cannot run a " + std::string{P::kind} +
                                            " in time that " + std::string{problem});
            }
        }
    }

    template <Policy P, class Put>
    std::error_code ask(const Request<P>& request, std::span<const std::string_view> keys, bool, Now now,
                        const Deadline& deadline, Put put) {
        if (now) now = std::clamp(*now, std::chrono::nanoseconds{0}, latest);
        if constexpr (SqlPolicy<P>) {
            const P& policy = request.scope.policy;
            if (!PostgresPolicy<P>::problem(policy).empty()) return Errc::misconfigured;
            Parts parts;
            PostgresPolicy<P>::parts(
                policy, request.operation == Operation::consume ? request.max_delay : MaxDelay::max(), parts);
            Statement statement{client_.options().schema, Statement::function_of(request.operation), request.scope.id};
            statement.finish(parts, request, now);
            Call& call = statement.call(keys);
            client_.run(call, deadline);
            if (call.error) return call.error;
            std::span<const std::int64_t> numbers{call.numbers};
            std::uint64_t new_keys = 0;
            for (std::size_t i = 0; i != keys.size(); ++i) put(i, conclude(request, numbers, new_keys));
            if (new_keys != 0) client_.sweeper().note_new_keys(new_keys);
            return {};
        } else if constexpr (StateCodec<P>) {
            return detail::remote::CasDecision<P, PostgresBackend>::decide(*this, request, keys, now, deadline, put);
        } else {
            return Errc::misconfigured;  // check() tells it to the compiler
        }
    }

    // For CasDecision.
    detail::remote::KeyLocks& key_locks() noexcept { return key_locks_; }
    void swap_states(const detail::remote::StateCells& asked, const Deadline& deadline) {
        Statement statement{client_.options().schema, "swap_2", asked.scope_id};
        statement.finish(asked);
        std::vector<std::string_view> keys;
        for (const auto* const cell : asked.cells) keys.push_back(cell->key);
        Call& call = statement.call(keys);
        client_.run(call, deadline);
        Seen numbers{call.numbers};
        std::uint64_t new_keys = 0;
        for (auto* const cell : asked.cells) {
            cell->error = call.error;
            cell->is_swapped = numbers.next() == 1;
            cell->now = std::chrono::nanoseconds{numbers.next()};
            const bool was_new = std::equal(cell->state.begin(), cell->state.end(), asked.fresh.begin());
            for (std::int64_t& number : cell->state) number = numbers.next();
            if (cell->is_swapped && was_new) ++new_keys;
        }
        if (new_keys != 0) client_.sweeper().note_new_keys(new_keys);
    }

private:
    /// The policy's own decision on the state that the server saw.
    template <Policy P>
    static Consumption conclude(const Request<P>& request, std::span<const std::int64_t>& numbers,
                                std::uint64_t& new_keys) {
        if (request.operation == Operation::reset || request.operation == Operation::give_back) return {};
        const auto take_first = [&](std::size_t count) {
            const auto first = numbers.first(std::min(count, numbers.size()));
            numbers = numbers.subspan(first.size());
            return first;
        };
        Request<P> decided = request;
        if (Statement::tells_units(request.operation)) {
            decided.operation = Operation::consume;
            decided.units = static_cast<std::uint64_t>(Seen{take_first(1)}.next());
        }
        Seen head{take_first(3)};
        Consumption consumption{.at = std::chrono::nanoseconds{head.next()}};
        const bool allowed = head.next() != 0;
        const auto seen = take_first(static_cast<std::size_t>(std::max<std::int64_t>(0, head.next())));
        if (request.operation == Operation::refund) return {};

        const P& policy = request.scope.policy;
        typename P::State state{};
        if (!seen.empty()) {
            Seen read{seen};
            state = PostgresPolicy<P>::state(policy, read);
        }
        sluice::reserve(policy, state, consumption.at, decided.units);
        consumption.decision = operate(decided, state, consumption.at, consumption.units);
        if (request.operation == Operation::peek) return consumption;
        if (seen.empty() && allowed) ++new_keys;
        // The server has already acted. It counts as the policy does; if it ever did not, its word would hold.
        if (consumption.decision.allowed != allowed) return {failure(Errc::protocol)};
        return consumption;
    }

    Client client_;
    detail::remote::KeyLocks key_locks_;
};

}  // namespace sluice::detail::postgres

#endif
