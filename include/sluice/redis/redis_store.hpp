// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_REDIS_STORE_HPP
#define SLUICE_REDIS_REDIS_STORE_HPP

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
#include <sluice/remote/deadline.hpp>
#include <sluice/redis/wire/call.hpp>
#include <sluice/redis/link/topology.hpp>
#include <sluice/redis/wire/resp.hpp>
#include <sluice/redis/wire/key.hpp>
#include <sluice/redis/wire/scope_cache.hpp>
#include <sluice/redis/wire/encoded_keys.hpp>
#include <sluice/redis/detail/script.hpp>
#include <sluice/redis/redis_options.hpp>
#include <sluice/redis/redis_policy.hpp>
#include <sluice/redis/redis_stats.hpp>
#include <sluice/redis/redis_url.hpp>
#include <sluice/store.hpp>

namespace sluice {

/// States in a Redis server (6.2 or later, or Valkey), shared by all processes that use it: one limit for all.
///
///     sluice::RedisStore redis{"redis://127.0.0.1:6379"};
///     sluice::RateLimiter api{sluice::TokenBucket{10, sluice::per_second(1)}, redis, {.name = "api"}};
///
/// A handle: copies share the connections. Thread-safe; no background thread; may be used in a forked child, which gets
/// connections of its own. The constructor never dials, and works while the server is away.
///
/// Cost: one round trip for a decision, a script of three commands; while all connections are busy, what waits is
/// combined, so that a round trip and a script serve many decisions. No call takes longer than
/// RedisOptions::timeout.
///
/// Time is the server's, in microseconds. Where it goes back, a key is used up at most. Every key expires by
/// itself once it is as good as new (a bucket's once the whole bucket would be full). Keys hold up to 1,024 bytes of
/// any kind, else the Decision has Errc::invalid_argument; they are stored as
/// prefix:limiter:<id of limiter, policy and parameters>:key.
///
/// Failure: the Decision carries an Errc, and the limiter's failure mode decides. A request whose first byte was sent
/// is never sent again, so nothing is charged twice. After some failures in a row the server is left alone for a
/// moment (Errc::breaker_open, at once).
///
/// Use a database without eviction (maxmemory-policy noeviction): an evicted key is a fresh one.
class RedisStore {
public:
    /// Throws std::invalid_argument for a bad URL (see RedisUrl; the text never shows it) or bad options.
    explicit RedisStore(std::string_view url, RedisOptions options = {})
        : client_(std::make_shared<redis::Client>(RedisUrl::parse(url), std::move(options))) {}

    template <Policy P>
    Decision decide(const Request<P>& request) const noexcept {
        return decide(request, std::nullopt);
    }

    /// At a time of the caller's instead of the server's, for tests and replays: one key must not mix the two. Its keys
    /// live for an hour at least.
    template <Policy P>
    Decision decide_at(const Request<P>& request, std::chrono::nanoseconds now) const noexcept {
        return decide(request, std::optional{now});
    }

    /// One round trip and one script for up to 128 keys.
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

    /// Whether the server answers: for health checks. Asks even while the breaker is open.
    std::error_code ping(std::chrono::nanoseconds timeout) const noexcept {
        try {
            return client_->ping(detail::remote::Deadline{timeout});
        } catch (...) {
            return Errc::no_memory;
        }
    }

    RedisStats stats() const noexcept { return client_->stats(); }

    /// Throws std::invalid_argument where Redis' numbers cannot run the policy exactly, std::bad_alloc where there is no
    /// memory for its scripts. The limiter's constructor asks; a call with such a policy of its own fails with
    /// Errc::invalid_argument.
    template <Policy P>
    void check(const Scope<P>& scope) const {
        if (const std::string_view problem = RedisPolicy<P>::problem(scope.policy); !problem.empty()) {
            throw std::invalid_argument("sluice: RedisStore cannot run a " + std::string{P::kind} + " exactly that " +
                                        std::string{problem});
        }
        scripts<P>();  // not by the first decision: a child forked while a thread makes them would wait for ever
    }

private:
    static constexpr std::size_t batch = 128;
    static constexpr std::int64_t min_replay_life_ms = 3'600'000;

    template <Policy P>
    Decision decide(const Request<P>& request, std::optional<std::chrono::nanoseconds> now) const noexcept {
        Decision decision;
        run<P, 1>(request, {&request.key, 1}, {&decision, 1}, now, detail::remote::Deadline{client_->options().timeout});
        return decision;
    }

    template <Policy P>
    void decide_many(const Request<P>& request, std::optional<std::chrono::nanoseconds> now,
                     std::span<const std::string_view> keys, std::span<Decision> out) const noexcept {
        const detail::remote::Deadline deadline{client_->options().timeout};
        for (std::size_t done = 0; done < keys.size(); done += batch) {
            const std::size_t count = std::min(batch, keys.size() - done);
            run<P, batch>(request, keys.subspan(done, count), out.subspan(done, count), now, deadline);
        }
    }

    /// Decides up to `most` keys in one run of a script.
    template <Policy P, std::size_t most>
    void run(const Request<P>& request, std::span<const std::string_view> keys, std::span<Decision> out,
             std::optional<std::chrono::nanoseconds> now, const detail::remote::Deadline& deadline) const noexcept {
        using Script = RedisPolicy<P>;
        constexpr std::size_t most_values =
            *std::max_element(Script::values.begin(), Script::values.end()) + common_now<P>;
        const P& policy = request.scope.policy;
        const std::size_t form = Script::form(policy);
        const std::size_t width = Script::values[form] + common_now<P>;
        std::array<std::int64_t, most * most_values> values;
        std::error_code error;
        try {
            error = ask(request, form, keys, values, now, deadline);
        } catch (...) {
            error = Errc::no_memory;
        }
        const auto view = Script::view(policy);
        const std::int64_t* answer = values.data();
        for (std::size_t i = 0; i != keys.size(); ++i) {
            if (keys[i].size() > redis::max_key_bytes) {
                out[i] = failure(Errc::invalid_argument);
            } else if (error) {
                out[i] = failure(error);
            } else {
                out[i] = conclude(request, view, form, std::exchange(answer, answer + width));
            }
            if (out[i].error) client_->counters().failed(out[i].error);
        }
    }

    /// Sends what is asked of the keys that are not too long; without an error their answers are in `values`.
    template <Policy P>
    std::error_code ask(const Request<P>& request, std::size_t form, std::span<const std::string_view> keys,
                        std::span<std::int64_t> values, std::optional<std::chrono::nanoseconds> now,
                        const detail::remote::Deadline& deadline) const {
        using Script = RedisPolicy<P>;
        const P& policy = request.scope.policy;
        std::unique_ptr<const redis::Prepared> made;
        const redis::Prepared* prepared = now ? nullptr : client_->prepared().find(request.scope.id);
        if (prepared == nullptr) {
            if (!Script::problem(policy).empty()) return Errc::invalid_argument;
            made = prepare(request.scope, form, now);
            prepared = now ? made.get() : client_->prepared().keep(made);
        }
        const redis::Questions questions{prepared->space, Script::keys, keys, request.operation, request.units};
        if (questions.count() == 0) return {};

        redis::Call call;
        call.scripts = &scripts<P>()[form][now ? 1 : 0];
        call.common = &prepared->common;
        call.keys = questions.keys();
        call.units = questions.units();
        call.keys_each = Script::keys;
        call.values_each = Script::values[form] + common_now<P>;
        call.decisions = questions.count();
        call.values = values;
        client_->run(call, deadline);
        return call.error;
    }

    template <Policy P>
    std::unique_ptr<const redis::Prepared> prepare(const Scope<P>& scope, std::size_t form,
                                                   std::optional<std::chrono::nanoseconds> now) const {
        using Script = RedisPolicy<P>;
        auto prepared = std::make_unique<redis::Prepared>();
        prepared->scope_id = scope.id;
        prepared->space = redis::key_space(client_->options().prefix, scope.name, scope.id, Script::keys > 1);
        if (now) prepared->common.add(std::clamp<std::int64_t>(*now / redis::resolution, 0, redis::max_time_us));
        Script::arguments(scope.policy, form, now ? min_replay_life_ms : 0, prepared->common);
        return prepared;
    }

    template <Policy P, class View>
    static Decision conclude(const Request<P>& request, const View& view, std::size_t form,
                             const std::int64_t* answer) noexcept {
        if (*answer == redis::Call::foreign) return failure(Errc::wrong_type);
        if (request.operation >= Operation::refund) return Decision{};
        const P& policy = request.scope.policy;
        std::chrono::nanoseconds now{0};
        if constexpr (common_now<P> == 0) {
            now = RedisPolicy<P>::now(policy, form, answer);
        } else {
            now = redis::from_us(*answer++);
        }
        auto state = RedisPolicy<P>::state(policy, form, answer, now);
        if (request.operation == Operation::peek) return sluice::peek(view, state, now, request.units);
        return view.step(state, now, request.units);
    }

    /// The integers in front of an answer that tell its time: what has several parts cannot do with times of each.
    template <Policy P>
    static constexpr std::size_t common_now = RedisPolicy<P>::keys == 1 ? 0 : 1;

    /// For each form of the policy with the server's time and with the caller's.
    using AllScripts = std::vector<std::array<redis::Scripts, 2>>;

    /// Made once for each policy, and never destroyed: static objects of the program may still use a store.
    template <Policy P>
    static const AllScripts& scripts() {
        constexpr auto& parts = RedisPolicy<P>::parts;
        static const AllScripts& all = *[] {
            auto made = std::make_unique<AllScripts>();
            for (const auto& one : parts) {
                made->push_back(
                    {redis::Scripts{redis::ScriptFrame{one, false}}, redis::Scripts{redis::ScriptFrame{one, true}}});
            }
            return made.release();
        }();
        return all;
    }

    static Decision failure(std::error_code error) noexcept {
        Decision decision;
        decision.error = error;
        return decision;
    }

    std::shared_ptr<redis::Client> client_;
};

}  // namespace sluice

#endif
