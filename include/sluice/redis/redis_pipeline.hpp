// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_REDIS_PIPELINE_HPP
#define SLUICE_REDIS_REDIS_PIPELINE_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/redis/link/topology.hpp>
#include <sluice/redis/redis_codec.hpp>
#include <sluice/redis/redis_policy.hpp>
#include <sluice/redis/wire/call.hpp>
#include <sluice/redis/wire/encoded_keys.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/store.hpp>

namespace sluice::detail::redis {

/// Requests of several scopes and policies that go in one exchange: each in a call of its own.
class RedisPipeline {
public:
    /// May throw std::bad_alloc.
    template <ScriptedPolicy P>
    void add(const Topology& topology, RedisCodec& codec, const Request<P>& request, Consumption& out) {
        auto one = std::make_unique<PendingOf<P>>(request, out);
        one->prepare(topology, codec);
        pending_.push_back(std::move(one));
    }

    /// What goes on a way of its own, before the others.
    void add_alone(std::function<void(const remote::Deadline&)> one) { alone_.push_back(std::move(one)); }

    /// Sets all that was added.
    void run(Topology& topology, const remote::Deadline& deadline) {
        for (const auto& one : alone_) one(deadline);
        if (pending_.empty()) return;
        std::vector<ScriptCall> calls;
        calls.reserve(pending_.size());
        for (const auto& one : pending_) {
            if (!one->out.decision.error) calls.push_back(one->call);
        }
        topology.run(calls, deadline);
        auto call = calls.begin();
        for (const auto& one : pending_) {
            if (!one->out.decision.error) one->finish(*call++);
        }
    }

private:
    struct Pending {
        explicit Pending(Consumption& consumption) noexcept : out(consumption) {}
        virtual ~Pending() = default;
        virtual void finish(const ScriptCall& answered) noexcept = 0;
        Consumption& out;
        ScriptCall call{};
    };

    template <ScriptedPolicy P>
    struct PendingOf final : Pending {
        PendingOf(const Request<P>& asked, Consumption& consumption) : Pending(consumption), request(asked) {
            out = {};
        }

        void prepare(const Topology& topology, RedisCodec& codec) {
            if (const auto error = codec.prepare(request, settles(), std::nullopt, prepared)) {
                out.decision = failure(error);
                return;
            }
            encoded.emplace(prepared.key_prefix(), prepared.keys_each(), std::span{&request.key, 1}, request.operation,
                            request.units);
            call = prepared.call(*encoded, 1, std::span{values}.first(prepared.width()));
            if (topology.has_slots()) call.slot = encoded->slot();
        }
        void finish(const ScriptCall& answered) noexcept override {
            if (answered.error) {
                out.decision = failure(answered.error);
                return;
            }
            const auto stepping = RedisPolicy<P>::at_server_resolution(request.scope.policy);
            out = RedisCodec::decode(request, settles(), stepping, values.data());
        }
        /// Whether the answer has to tell what was taken and when.
        bool settles() const noexcept {
            return request.operation == Operation::consume || RedisCodec::is_seldom(request);
        }

        Request<P> request;
        RedisCodec::Prepared prepared{};
        std::optional<EncodedKeys> encoded{};
        std::array<std::int64_t, RedisCodec::most_values<P>> values{};
    };

    std::vector<std::unique_ptr<Pending>> pending_{};
    std::vector<std::function<void(const remote::Deadline&)>> alone_{};
};

}  // namespace sluice::detail::redis

#endif
