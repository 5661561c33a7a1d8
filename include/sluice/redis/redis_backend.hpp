// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_REDIS_BACKEND_HPP
#define SLUICE_REDIS_REDIS_BACKEND_HPP

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/redis/link/topology.hpp>
#include <sluice/redis/redis_options.hpp>
#include <sluice/redis/redis_policy.hpp>
#include <sluice/redis/redis_stats.hpp>
#include <sluice/redis/wire/call.hpp>
#include <sluice/redis/wire/encoded_keys.hpp>
#include <sluice/redis/wire/key.hpp>
#include <sluice/redis/wire/scope_cache.hpp>
#include <sluice/redis/wire/script.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/store.hpp>

namespace sluice::detail::redis {

/// What RemoteStore runs: requests become calls of scripts, and what scripts answer becomes Decisions. Thread-safe.
class RedisBackend {
public:
    using Deadline = detail::remote::Deadline;
    using Now = std::optional<std::chrono::nanoseconds>;

    static constexpr std::size_t max_key_bytes = detail::redis::max_key_bytes;
    static constexpr std::size_t max_keys = Group::max_decisions;

    RedisBackend(std::string_view url, RedisOptions options) : topology_(url, std::move(options)) {}

    std::chrono::nanoseconds timeout() const noexcept { return topology_.options().timeout; }
    std::error_code ping(const Deadline& deadline) { return topology_.ping(deadline); }
    RedisStats stats() const noexcept { return topology_.stats(); }
    void count_failure(const std::error_code& error) noexcept { topology_.counters().failed(error); }

    template <Policy P>
    void check(const Scope<P>& scope) const {
        if (const std::string_view problem = RedisPolicy<P>::problem(scope.policy); !problem.empty()) {
            throw std::invalid_argument("sluice: RedisStore cannot run a " + std::string{P::kind} + " exactly that " +
                                        std::string{problem});
        }
        scripts<P>();  // not by the first decision: a child forked while a thread makes them would wait for ever
    }

    template <Policy P>
    std::error_code decide(const Request<P>& request, std::span<const std::string_view> keys, std::span<Decision> out,
                           Now now, const Deadline& deadline) {
        if (keys.size() == 1) return decide_some<P, 1, 1>(request, keys, out, now, deadline);
        if (keys.size() <= batch) return decide_some<P, batch, 1>(request, keys, out, now, deadline);
        return decide_some<P, batch, max_keys / batch>(request, keys, out, now, deadline);
    }

private:
    static constexpr std::size_t batch = ScriptCall::max_decisions;
    static constexpr std::int64_t min_replay_life_ms = 3'600'000;

    /// The integers in front of an answer that tell its time: what has several parts cannot do with times of each.
    template <Policy P>
    static constexpr std::size_t shared_time_values = RedisPolicy<P>::keys == 1 ? 0 : 1;

    /// Decides up to `calls` times `each` keys, in one exchange.
    template <Policy P, std::size_t each, std::size_t calls>
    std::error_code decide_some(const Request<P>& request, std::span<const std::string_view> keys,
                                std::span<Decision> out, Now now, const Deadline& deadline) {
        using Traits = RedisPolicy<P>;
        constexpr std::size_t most_values =
            *std::max_element(Traits::values.begin(), Traits::values.end()) + shared_time_values<P>;
        const P& policy = request.scope.policy;
        const std::size_t form = Traits::form(policy);
        const std::size_t width = Traits::values[form] + shared_time_values<P>;

        std::unique_ptr<const ScopeCache::Entry> made;
        const ScopeCache::Entry* scope = now ? nullptr : scopes_.find(request.scope.id);
        if (scope == nullptr) {
            if (!Traits::problem(policy).empty()) return Errc::misconfigured;
            made = describe(request.scope, form, now);
            scope = now ? made.get() : scopes_.keep(made);
        }

        std::array<std::optional<EncodedKeys>, calls> encoded;
        std::array<ScriptCall, calls> asked;
        std::array<std::int64_t, each * most_values> on_stack;
        std::vector<std::int64_t> on_heap(calls == 1 ? 0 : keys.size() * width);
        std::span<std::int64_t> values = calls == 1 ? std::span<std::int64_t>{on_stack} : std::span{on_heap};
        std::size_t count = 0;
        for (std::size_t done = 0; done < keys.size(); done += each, ++count) {
            const auto some = keys.subspan(done, std::min(each, keys.size() - done));
            encoded[count].emplace(scope->key_prefix, Traits::keys, some, request.operation, request.units);
            ScriptCall& call = asked[count];
            call.scripts = &scripts<P>()[form][now ? 1 : 0];
            call.common = &scope->common;
            call.keys = encoded[count]->keys();
            call.units = encoded[count]->units();
            call.keys_each = Traits::keys;
            call.values_each = width;
            call.decisions = some.size();
            call.values = values.subspan(done * width, some.size() * width);
        }
        topology_.run(std::span{asked}.first(count), deadline);

        const auto view = Traits::view(policy);
        for (std::size_t i = 0; i != keys.size(); ++i) {
            const ScriptCall& call = asked[i / each];
            out[i] = call.error ? failure(call.error) : decode(request, view, form, &call.values[i % each * width]);
        }
        return {};
    }

    template <Policy P>
    std::unique_ptr<const ScopeCache::Entry> describe(const Scope<P>& scope, std::size_t form, Now now) const {
        using Traits = RedisPolicy<P>;
        auto entry = std::make_unique<ScopeCache::Entry>();
        entry->scope_id = scope.id;
        entry->key_prefix = key_prefix(topology_.options().prefix, scope.name, scope.id, Traits::keys > 1);
        if (now) entry->common.add(std::clamp<std::int64_t>(*now / resolution, 0, max_time_us));
        Traits::arguments(scope.policy, form, now ? min_replay_life_ms : 0, entry->common);
        return entry;
    }

    template <Policy P, class View>
    static Decision decode(const Request<P>& request, const View& view, std::size_t form,
                           const std::int64_t* answer) noexcept {
        if (*answer == ScriptCall::wrong_type) return failure(Errc::wrong_type);
        const bool has_decision = request.operation == Operation::consume || request.operation == Operation::peek;
        if (!has_decision) return Decision{};
        const P& policy = request.scope.policy;
        std::chrono::nanoseconds now{0};
        if constexpr (shared_time_values<P> == 0) {
            now = RedisPolicy<P>::now(policy, form, answer);
        } else {
            now = from_us(*answer++);
        }
        auto state = RedisPolicy<P>::state(policy, form, answer, now);
        if (request.operation == Operation::peek) return sluice::peek(view, state, now, request.units);
        return view.step(state, now, request.units);
    }

    /// For each form of the policy with the server's time and with the caller's.
    using AllScripts = std::vector<std::array<Scripts, 2>>;

    /// Made once for each policy, and never destroyed: static objects of the program may still use a store.
    template <Policy P>
    static const AllScripts& scripts() {
        constexpr auto& parts = RedisPolicy<P>::parts;
        static const AllScripts& all = *[] {
            auto made = std::make_unique<AllScripts>();
            for (const auto& one : parts)
                made->push_back({Scripts{ScriptFrame{one, false}}, Scripts{ScriptFrame{one, true}}});
            return made.release();
        }();
        return all;
    }

    SingleTopology topology_;
    ScopeCache scopes_;
};

}  // namespace sluice::detail::redis

#endif
