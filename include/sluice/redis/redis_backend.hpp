// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_REDIS_BACKEND_HPP
#define SLUICE_REDIS_REDIS_BACKEND_HPP

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/redis/link/client_config.hpp>
#include <sluice/redis/link/cluster_topology.hpp>
#include <sluice/redis/link/single_topology.hpp>
#include <sluice/redis/link/topology.hpp>
#include <sluice/redis/redis_codec.hpp>
#include <sluice/redis/redis_options.hpp>
#include <sluice/redis/redis_policy.hpp>
#include <sluice/redis/redis_stats.hpp>
#include <sluice/redis/state_swap.hpp>
#include <sluice/redis/wire/call.hpp>
#include <sluice/redis/wire/call_set.hpp>
#include <sluice/redis/wire/encoded_keys.hpp>
#include <sluice/redis/wire/key.hpp>
#include <sluice/remote/cas_store.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/remote/key_locks.hpp>
#include <sluice/store.hpp>

namespace sluice::detail::redis {

/// What RemoteStore runs: requests become calls of scripts, and what scripts answer becomes Decisions. Thread-safe.
class RedisBackend {
public:
    using Deadline = detail::remote::Deadline;
    using Now = RedisCodec::Now;

    static constexpr std::size_t max_key_bytes = detail::redis::max_key_bytes;
    static constexpr std::size_t max_keys = CallSet::max_decisions;

    RedisBackend(std::string_view url, RedisOptions options)
        : topology_(make_topology(url, std::move(options))), codec_(topology_->options().prefix) {}

    std::chrono::nanoseconds timeout() const noexcept { return topology_->options().timeout; }
    std::error_code ping(const Deadline& deadline) { return topology_->ping(deadline); }
    RedisStats stats() const noexcept { return topology_->counters().snapshot_with(*topology_); }
    void count_failure(const std::error_code& error) noexcept { topology_->counters().failed(error); }

    template <Policy P>
    void check(const Scope<P>& scope) const {
        static_assert(
            ScriptedPolicy<P> || StateCodec<P>,
            "sluice: RedisStore needs to know this policy's state as integers: give the policy (of an AllOf, each "
            "part) encode(const State&) and decode(), see StateCodec in sluice/policy.hpp");
        if constexpr (ScriptedPolicy<P>) RedisCodec::check(scope, "RedisStore");
    }

    /// Where there are several keys, in calls of as many as may share one, all at once.
    template <Policy P, class Put>
    std::error_code ask(const Request<P>& request, std::span<const std::string_view> keys, bool settles, Now now,
                        const Deadline& deadline, Put put) {
        if constexpr (ScriptedPolicy<P>) {
            RedisCodec::Prepared prepared;
            settles = settles || RedisCodec::is_seldom(request);
            if (const auto error = codec_.prepare(request, settles, now, prepared)) return error;
            const std::size_t width = prepared.width();
            const auto stepping = RedisPolicy<P>::at_server_resolution(request.scope.policy);
            const auto conclude = [&](std::size_t i, const ScriptCall& call, const std::int64_t* answer) {
                put(i, call.error ? Consumption{failure(call.error)}
                                  : RedisCodec::decode(request, settles, stepping, answer));
            };
            if (keys.size() == 1) {  // all on the stack but the key
                std::array<std::int64_t, RedisCodec::most_values<P>> values;
                const EncodedKeys encoded{prepared.key_prefix(), prepared.keys_each(), keys, request.operation,
                                          request.units};
                ScriptCall call = make_call(prepared, encoded, 1, std::span{values}.first(width));
                topology_->run({&call, 1}, deadline);
                conclude(0, call, values.data());
                return {};
            }
            const std::size_t batch = topology_->has_slots() ? 1 : ScriptCall::max_decisions;
            std::vector<std::int64_t> values(keys.size() * width);
            std::vector<EncodedKeys> encoded;
            std::vector<ScriptCall> calls;
            encoded.reserve((keys.size() + batch - 1) / batch);
            calls.reserve(encoded.capacity());
            for (std::size_t done = 0; done < keys.size(); done += batch) {
                const auto some = keys.subspan(done, std::min(batch, keys.size() - done));
                encoded.emplace_back(prepared.key_prefix(), prepared.keys_each(), some, request.operation,
                                     request.units);
                calls.push_back(make_call(prepared, encoded.back(), some.size(),
                                          std::span{values}.subspan(done * width, some.size() * width)));
            }
            topology_->run(calls, deadline);
            for (std::size_t i = 0; i != keys.size(); ++i) conclude(i, calls[i / batch], &values[i * width]);
            return {};
        } else if constexpr (StateCodec<P>) {
            return detail::remote::CasDecision<P, RedisBackend>::decide(*this, request, keys, now, deadline, put);
        } else {
            return Errc::misconfigured;  // check() tells it to the compiler
        }
    }

    // For RedisPipeline.
    Topology& topology() noexcept { return *topology_; }
    RedisCodec& codec() noexcept { return codec_; }
    ScriptCall make_call(const RedisCodec::Prepared& prepared, const EncodedKeys& keys, std::size_t decisions,
                         std::span<std::int64_t> values) const noexcept {
        ScriptCall call = prepared.call(keys, decisions, values);
        if (topology_->has_slots()) call.slot = keys.slot();
        return call;
    }

    // For CasDecision.
    detail::remote::KeyLocks& key_locks() noexcept { return key_locks_; }
    void swap_states(const detail::remote::StateCells& cells, const Deadline& deadline) {
        StateSwap swap{key_prefix(topology_->options().prefix, cells.limiter, cells.scope_id, false), cells,
                       topology_->has_slots(), cells.now ? RedisCodec::min_replay_life_ms : 0};
        swap.run(*topology_, deadline);
    }

private:
    static std::unique_ptr<Topology> make_topology(std::string_view text, RedisOptions options) {
        auto config = std::make_unique<ClientConfig>(text, std::move(options));
        if (config->is_cluster()) return std::make_unique<ClusterTopology>(std::move(config));
        return std::make_unique<SingleTopology>(std::move(config));
    }

    std::unique_ptr<Topology> topology_;
    RedisCodec codec_;
    detail::remote::KeyLocks key_locks_;
};

}  // namespace sluice::detail::redis

#endif
