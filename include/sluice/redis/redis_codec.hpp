// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_REDIS_CODEC_HPP
#define SLUICE_REDIS_REDIS_CODEC_HPP

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
#include <sluice/operate.hpp>
#include <sluice/redis/redis_policy.hpp>
#include <sluice/redis/wire/call.hpp>
#include <sluice/redis/wire/encoded_keys.hpp>
#include <sluice/redis/wire/key.hpp>
#include <sluice/redis/wire/scope_cache.hpp>
#include <sluice/redis/wire/script.hpp>
#include <sluice/store.hpp>

namespace sluice::detail::redis {

/// How requests become calls of scripts, and what scripts answer becomes Decisions: the same for blocking and for
/// event-driven clients. Thread-safe.
class RedisCodec {
public:
    using Now = std::optional<std::chrono::nanoseconds>;

    static constexpr std::int64_t min_replay_life_ms = 3'600'000;  ///< of keys at a caller's times

    explicit RedisCodec(std::string key_prefix) : key_prefix_(std::move(key_prefix)) {}

    static constexpr std::size_t settling_values = 2;  ///< in front of an answer that settles: the time, what was taken

    /// The integers of one answer, at most.
    template <Policy P>
    static constexpr std::size_t most_values =
        *std::max_element(RedisPolicy<P>::values.begin(), RedisPolicy<P>::values.end()) + settling_values;

    /// Whether a request is for the script of what is asked seldom.
    template <Policy P>
    static bool is_seldom(const Request<P>& request) noexcept {
        return request.operation > Operation::reset || (PacingPolicy<P> && request.operation == Operation::consume &&
                                                        request.max_delay != std::chrono::nanoseconds::max());
    }

    /// Throws std::invalid_argument where the store cannot run the policy.
    template <Policy P>
    static void check(const Scope<P>& scope, const char* store) {
        static_assert(
            ScriptedPolicy<P>,
            "sluice: this store decides by scripts alone, and has none for this policy; RedisStore can run it by "
            "its codec, see StateCodec in sluice/policy.hpp");
        if (const std::string_view problem = RedisPolicy<P>::problem(scope.policy); !problem.empty()) {
            throw std::invalid_argument("sluice: " + std::string{store} + " cannot run a " + std::string{P::kind} +
                                        " exactly that " + std::string{problem});
        }
        scripts<P>();  // not by the first decision: a child forked while a thread makes them would wait for ever
    }

    /// All that the calls of one request have in common. Lives as long as the codec and itself.
    class Prepared {
    public:
        const std::string& key_prefix() const noexcept { return scope_->key_prefix; }
        std::size_t keys_each() const noexcept { return keys_each_; }
        /// Integers in one answer.
        std::size_t width() const noexcept { return width_; }

        /// Refers to `this`, the keys and the values.
        ScriptCall call(const EncodedKeys& keys, std::size_t decisions, std::span<std::int64_t> values) const noexcept {
            ScriptCall call;
            call.scripts = scripts_;
            call.common = &scope_->common;
            call.keys = keys.keys();
            call.units = keys.units();
            call.keys_each = keys_each_;
            call.values_each = width_;
            call.decisions = decisions;
            call.values = values;
            return call;
        }

    private:
        friend class RedisCodec;
        std::unique_ptr<const ScopeCache::Entry> made_{};
        const ScopeCache::Entry* scope_ = nullptr;
        const Scripts* scripts_ = nullptr;
        std::size_t keys_each_ = 1;
        std::size_t width_ = 1;
    };

    /// Errc::misconfigured where Redis cannot run the policy. `settles`: by the script of what is asked seldom, whose answers
    /// tell what was taken. `now` is the caller's time, or nothing: then it is the server's. May throw std::bad_alloc.
    template <Policy P>
    std::error_code prepare(const Request<P>& request, bool settles, Now now, Prepared& prepared) {
        using Traits = RedisPolicy<P>;
        const auto& scope = request.scope;
        const std::size_t variant = settles ? 0 : Traits::variant(scope.policy);
        prepared.scope_ = settles || now ? nullptr : scopes_.find(scope.id);
        if (prepared.scope_ == nullptr) {
            if (!Traits::problem(scope.policy).empty()) return Errc::misconfigured;
            auto made = describe(scope, variant, now);
            if (settles) add_settling_arguments(request, made->common);
            prepared.made_ = std::move(made);
            prepared.scope_ = settles || now ? prepared.made_.get() : scopes_.keep(prepared.made_);
        }
        const AllScripts& all = scripts<P>();
        prepared.scripts_ = &(settles ? all.settling : all.variants[variant])[now ? 1 : 0];
        prepared.keys_each_ = Traits::keys;
        prepared.width_ = Traits::values[variant] + (settles ? settling_values : shared_time_values<P>);
        return {};
    }

    /// `stepping` is RedisPolicy<P>::at_server_resolution of the request's policy, `answer` what the script said of one key,
    /// prepared with the same `settles`; without it there is no more than a Decision.
    template <Policy P, class Stepping>
    static Consumption decode(const Request<P>& request, bool settles, const Stepping& stepping,
                              const std::int64_t* answer) noexcept {
        if (*answer == ScriptCall::wrong_type) return {failure(Errc::wrong_type)};
        const P& policy = request.scope.policy;
        std::chrono::nanoseconds now{0};
        std::uint64_t taken = 0;
        if (settles) {
            now = from_us(*answer++);
            taken = static_cast<std::uint64_t>(*answer++);
        } else if constexpr (shared_time_values<P> != 0) {
            now = from_us(*answer++);
        } else {
            now = RedisPolicy<P>::now(policy, RedisPolicy<P>::variant(policy), answer);
        }
        switch (request.operation) {
            case Operation::consume:
            case Operation::peek:
            case Operation::take:
            case Operation::carry: break;
            default: return {};
        }
        const std::size_t variant = settles ? 0 : RedisPolicy<P>::variant(policy);
        auto state = RedisPolicy<P>::state(policy, variant, answer, now);
        const Request<Stepping> same{{request.scope.name, stepping, request.scope.id},
                                     request.key,
                                     request.units,
                                     request.operation,
                                     request.max_delay};
        Consumption consumption{.at = now};
        consumption.decision = operate(same, state, now, consumption.units);
        // The server has already acted. It counts as the policy does; if it ever did not, its word would hold.
        if (settles && consumption.units != taken) return {failure(Errc::protocol)};
        return consumption;
    }

private:
    /// The integers in front of an answer that tell its time: what has several parts cannot do with times of each.
    template <Policy P>
    static constexpr std::size_t shared_time_values = RedisPolicy<P>::keys == 1 ? 0 : 1;

    template <Policy P>
    static void add_settling_arguments(const Request<P>& request, Arguments& out) {
        const bool carries = request.operation == Operation::carry;
        out.add(request.operation == Operation::take        ? std::string_view{"take"}
                : carries                                   ? std::string_view{"carry"}
                : request.operation == Operation::give_back ? std::string_view{"give_back"}
                                                            : std::string_view{"consume"});
        if (carries) {
            out.add(request.scope.policy.quota().limit);
        } else {
            out.add(std::clamp<std::int64_t>(request.consumed_at / resolution, 0, max_time_us));
        }
        RedisPolicy<P>::bounds(
            request.scope.policy,
            request.operation == Operation::consume ? request.max_delay : std::chrono::nanoseconds::max(), out);
    }

    template <Policy P>
    std::unique_ptr<ScopeCache::Entry> describe(const Scope<P>& scope, std::size_t variant, Now now) const {
        using Traits = RedisPolicy<P>;
        auto entry = std::make_unique<ScopeCache::Entry>();
        entry->scope_id = scope.id;
        entry->key_prefix = redis::key_prefix(key_prefix_, scope.name, scope.id, Traits::keys > 1);
        if (now) entry->common.add(std::clamp<std::int64_t>(*now / resolution, 0, max_time_us));
        Traits::arguments(scope.policy, variant, now ? min_replay_life_ms : 0, entry->common);
        return entry;
    }

    /// Each with the server's time and with the caller's.
    struct AllScripts {
        std::vector<std::array<Scripts, 2>> variants{};
        std::array<Scripts, 2> settling;
    };

    /// Made once for each policy, and never destroyed: static objects of the program may still use a store.
    template <Policy P>
    static const AllScripts& scripts() {
        static const AllScripts& all = *[] {
            constexpr auto& parts = RedisPolicy<P>::parts;
            auto made = std::unique_ptr<AllScripts>{new AllScripts{
                .settling = {Scripts{SettlingFrame{parts[0], false}}, Scripts{SettlingFrame{parts[0], true}}}}};
            for (const auto& one : parts)
                made->variants.push_back({Scripts{ScriptFrame{one, false}}, Scripts{ScriptFrame{one, true}}});
            return made.release();
        }();
        return all;
    }

    const std::string key_prefix_;
    ScopeCache scopes_;
};

}  // namespace sluice::detail::redis

#endif
