// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_REDIS_PIPELINE_HPP
#define SLUICE_REDIS_REDIS_PIPELINE_HPP

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/redis/redis_backend.hpp>
#include <sluice/redis/redis_codec.hpp>
#include <sluice/redis/redis_policy.hpp>
#include <sluice/redis/wire/call.hpp>
#include <sluice/redis/wire/encoded_keys.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/store.hpp>

namespace sluice::detail::redis {

/// Requests of several scopes and policies that go in one exchange, each in a call of its own: see PipelineStore. Those of
/// policies without a script go on ways of their own, before the others.
class RedisPipeline {
public:
    explicit RedisPipeline(std::shared_ptr<RedisBackend> backend) noexcept : backend_(std::move(backend)) {}

    /// May throw std::bad_alloc.
    template <Policy P>
    void add(const Request<P>& request, Consumption& out) {
        auto one = std::make_unique<PendingOf<P>>(request, out);
        if (request.key.size() > RedisBackend::max_key_bytes) {
            out.decision = failure(Errc::invalid_argument);
        } else if constexpr (ScriptedPolicy<P>) {
            one->prepare(*backend_);
        }
        pending_.push_back(std::move(one));
    }

    /// In the time that one call has.
    void run() noexcept {
        try {
            run(remote::Deadline{backend_->timeout()});
        } catch (...) {
            for (const auto& one : pending_) {
                if (!one->out.decision.error) one->out.decision = failure(Errc::no_memory);
            }
        }
        for (const auto& one : pending_) {
            if (one->out.decision.error) backend_->count_failure(one->out.decision.error);
        }
    }

private:
    struct Pending {
        explicit Pending(Consumption& consumption) noexcept : out(consumption) { out = {}; }
        virtual ~Pending() = default;
        /// Without a call.
        virtual std::error_code run_alone(RedisBackend&, const remote::Deadline&) { return {}; }
        virtual void finish(const ScriptCall&) noexcept {}

        Consumption& out;
        ScriptCall call{};
    };

    template <Policy P>
    struct PendingOf final : Pending {
        PendingOf(const Request<P>& asked, Consumption& consumption) : Pending(consumption), request(asked) {}

        std::error_code run_alone(RedisBackend& backend, const remote::Deadline& deadline) override {
            return backend.ask(request, {&request.key, 1}, true, std::nullopt, deadline,
                               [&](std::size_t, const Consumption& one) { out = one; });
        }

        Request<P> request;
    };

    template <ScriptedPolicy P>
    struct PendingOf<P> final : Pending {
        PendingOf(const Request<P>& asked, Consumption& consumption) : Pending(consumption), request(asked) {}

        void prepare(RedisBackend& backend) {
            if (const auto error = backend.codec().prepare(request, settles(), std::nullopt, prepared)) {
                out.decision = failure(error);
                return;
            }
            encoded.encode(prepared.key_prefix(), prepared.keys_each(), {&request.key, 1}, request.operation,
                           request.units);
            call = backend.make_call(prepared, encoded, 1, std::span{values}.first(prepared.width()));
        }
        void finish(const ScriptCall& answered) noexcept override {
            const auto stepping = RedisPolicy<P>::at_server_resolution(request.scope.policy);
            out = answered.error ? Consumption{failure(answered.error)}
                                 : RedisCodec::decode(request, settles(), stepping, values.data());
        }
        /// Whether the answer has to tell what was taken and when.
        bool settles() const noexcept {
            return request.operation == Operation::consume || RedisCodec::is_seldom(request);
        }

        Request<P> request;
        RedisCodec::Prepared prepared{};
        EncodedKeys encoded{};
        std::array<std::int64_t, RedisCodec::most_values<P>> values{};
    };

    void run(const remote::Deadline& deadline) {
        std::vector<Pending*> asked;
        std::vector<ScriptCall> calls;
        for (const auto& one : pending_) {
            if (one->out.decision.error) continue;
            if (one->call.scripts != nullptr) {
                asked.push_back(one.get());
                calls.push_back(one->call);
            } else if (const auto error = one->run_alone(*backend_, deadline)) {
                one->out.decision = failure(error);
            }
        }
        if (!calls.empty()) backend_->topology().run(calls, deadline);
        for (std::size_t i = 0; i != calls.size(); ++i) asked[i]->finish(calls[i]);
    }

    std::shared_ptr<RedisBackend> backend_;
    std::vector<std::unique_ptr<Pending>> pending_{};
};

}  // namespace sluice::detail::redis

#endif
