// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_REDIS_BACKEND_HPP
#define SLUICE_REDIS_REDIS_BACKEND_HPP

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/redis/link/topology.hpp>
#include <sluice/redis/redis_codec.hpp>
#include <sluice/redis/redis_options.hpp>
#include <sluice/redis/redis_policy.hpp>
#include <sluice/redis/redis_stats.hpp>
#include <sluice/redis/wire/call.hpp>
#include <sluice/redis/wire/encoded_keys.hpp>
#include <sluice/redis/wire/key.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/store.hpp>

namespace sluice::detail::redis {

/// What RemoteStore runs: requests become calls of scripts, and what scripts answer becomes Decisions. Thread-safe.
class RedisBackend {
public:
    using Deadline = detail::remote::Deadline;
    using Now = RedisCodec::Now;

    static constexpr std::size_t max_key_bytes = detail::redis::max_key_bytes;
    static constexpr std::size_t max_keys = Group::max_decisions;

    RedisBackend(std::string_view url, RedisOptions options)
        : topology_(url, std::move(options)), codec_(topology_.options().prefix) {}

    std::chrono::nanoseconds timeout() const noexcept { return topology_.options().timeout; }
    std::error_code ping(const Deadline& deadline) { return topology_.ping(deadline); }
    RedisStats stats() const noexcept { return topology_.stats(); }
    void count_failure(const std::error_code& error) noexcept { topology_.counters().failed(error); }

    template <Policy P>
    void check(const Scope<P>& scope) const {
        RedisCodec::check(scope, "RedisStore");
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

    /// Decides up to `calls` times `each` keys, in one exchange.
    template <Policy P, std::size_t each, std::size_t calls>
    std::error_code decide_some(const Request<P>& request, std::span<const std::string_view> keys,
                                std::span<Decision> out, Now now, const Deadline& deadline) {
        RedisCodec::Prepared prepared;
        if (const auto error = codec_.prepare(request.scope, now, prepared)) return error;

        const std::size_t width = prepared.width();
        std::array<std::optional<EncodedKeys>, calls> encoded;
        std::array<ScriptCall, calls> asked;
        std::array<std::int64_t, each * RedisCodec::most_values<P>> on_stack;
        std::vector<std::int64_t> on_heap(calls == 1 ? 0 : keys.size() * width);
        std::span<std::int64_t> values = calls == 1 ? std::span<std::int64_t>{on_stack} : std::span{on_heap};
        std::size_t count = 0;
        for (std::size_t done = 0; done < keys.size(); done += each, ++count) {
            const auto some = keys.subspan(done, std::min(each, keys.size() - done));
            encoded[count].emplace(prepared.key_prefix(), prepared.keys_each(), some, request.operation, request.units);
            asked[count] =
                prepared.call(*encoded[count], some.size(), values.subspan(done * width, some.size() * width));
        }
        topology_.run(std::span{asked}.first(count), deadline);

        const auto view = RedisPolicy<P>::view(request.scope.policy);
        for (std::size_t i = 0; i != keys.size(); ++i) {
            const ScriptCall& call = asked[i / each];
            out[i] =
                call.error ? failure(call.error) : RedisCodec::decode(request, view, &call.values[i % each * width]);
        }
        return {};
    }

    SingleTopology topology_;
    RedisCodec codec_;
};

}  // namespace sluice::detail::redis

#endif
