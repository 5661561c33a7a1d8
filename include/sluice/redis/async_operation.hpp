// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_ASYNC_OPERATION_HPP
#define SLUICE_REDIS_ASYNC_OPERATION_HPP

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <string_view>
#include <system_error>
#include <utility>

#include <sluice/decision.hpp>
#include <sluice/redis/link/async_call.hpp>
#include <sluice/redis/redis_codec.hpp>
#include <sluice/redis/redis_policy.hpp>
#include <sluice/redis/wire/call.hpp>
#include <sluice/redis/wire/call_set.hpp>
#include <sluice/redis/wire/encoded_keys.hpp>
#include <sluice/store.hpp>

namespace sluice::detail::redis {

/// A request with copies of all that it refers to, and who wants to know the decision: one allocation, from the allocator
/// of the completion where it has one. The Result is a Decision, or a Consumption, which tells what was taken.
template <Policy P, class Result, class F>
class AsyncOperation final : public AsyncCall {
public:
    using Now = RedisCodec::Now;

    /// May throw what the allocator throws, and then `done` is as it was.
    static AsyncOperation* make(RedisCodec& codec, const Request<P>& request, Now now, F& done) {
        auto allocator = allocator_for(done);
        const std::size_t count = units_for(request.scope.name.size() + request.key.size());
        Unit* const memory = std::allocator_traits<Allocator>::allocate(allocator, count);
        return ::new (static_cast<void*>(memory)) AsyncOperation{codec, request, now, std::move(done)};
    }

    std::error_code find_slot(EncodedKeys& scratch) override {
        RedisCodec::Prepared prepared;
        const auto problem = prepare(prepared, scratch);
        if (!problem) slot = scratch.slot();
        return problem;
    }

    std::error_code encode(EncodedKeys& scratch, CallSet& calls) override {
        RedisCodec::Prepared prepared;
        if (const auto problem = prepare(prepared, scratch)) return problem;
        ScriptCall call = prepared.call(scratch, 1, {});
        call.slot = slot;
        call.asking = asking;
        call.alone = alone;
        ticket = calls.add(call);
        return {};
    }

    void decode(CallSet& calls) noexcept override {
        std::array<std::int64_t, RedisCodec::most_values<P>> values;
        ScriptCall call;
        call.decisions = 1;
        call.values_each = width_;
        call.values = values;
        calls.collect(ticket, call);
        error = call.error;
        redirection = std::move(call.redirection);
        if (error) return;
        const Consumption taken =
            RedisCodec::decode(request_, settles(), RedisPolicy<P>::at_server_resolution(policy_), values.data());
        if constexpr (tells_what_was_taken) {
            result_ = taken;
        } else {
            result_ = taken.decision;
        }
    }

    bool is_abandoned() const noexcept override { return sluice::is_abandoned(done_); }

    void complete() noexcept override {
        F done{std::move(done_)};
        const Result result = error ? Result{failure(error)} : result_;
        destroy();
        std::move(done)(result);
    }
    std::error_code outcome() const noexcept override {
        if (error) return error;
        if constexpr (tells_what_was_taken) {
            return result_.decision.error;
        } else {
            return result_.error;
        }
    }

    void destroy() noexcept override {
        auto allocator = allocator_for(done_);
        const std::size_t count = units_for(request_.scope.name.size() + request_.key.size());
        this->~AsyncOperation();
        std::allocator_traits<Allocator>::deallocate(allocator, reinterpret_cast<Unit*>(this), count);
    }

private:
    static constexpr bool tells_what_was_taken = std::same_as<Result, Consumption>;

    struct alignas(std::max_align_t) Unit {
        std::byte bytes[alignof(std::max_align_t)];
    };
    using Allocator = typename std::allocator_traits<completion_allocator_t<F>>::template rebind_alloc<Unit>;
    static Allocator allocator_for(const F& done) noexcept { return Allocator{completion_allocator(done)}; }

    static constexpr std::size_t units_for(std::size_t text_bytes) noexcept {
        static_assert(alignof(AsyncOperation) <= alignof(std::max_align_t));
        return (sizeof(AsyncOperation) + text_bytes + sizeof(Unit) - 1) / sizeof(Unit);
    }

    AsyncOperation(RedisCodec& codec, const Request<P>& request, Now now, F&& done)
        : codec_(codec), policy_(request.scope.policy), now_(now), done_(std::move(done)),
          request_(with_scope(request, Scope<P>{copy(request.scope.name, 0), policy_, request.scope.id},
                              copy(request.key, request.scope.name.size()))) {}
    ~AsyncOperation() = default;

    bool settles() const noexcept { return tells_what_was_taken || RedisCodec::is_seldom(request_); }

    /// The key and the units are in `scratch` afterwards.
    std::error_code prepare(RedisCodec::Prepared& prepared, EncodedKeys& scratch) {
        if (const auto problem = codec_.prepare(request_, settles(), now_, prepared)) return problem;
        width_ = prepared.width();
        scratch.encode(prepared.key_prefix(), prepared.keys_each(), {&request_.key, 1}, request_.operation,
                       request_.units);
        return {};
    }

    /// Into the memory behind the object.
    std::string_view copy(std::string_view text, std::size_t offset) noexcept {
        char* const place = reinterpret_cast<char*>(this) + sizeof(AsyncOperation) + offset;
        if (!text.empty()) std::memcpy(place, text.data(), text.size());
        return {place, text.size()};
    }

    RedisCodec& codec_;
    P policy_;
    Now now_;
    std::size_t width_ = 1;
    Result result_{};
    F done_;
    Request<P> request_;
};

}  // namespace sluice::detail::redis

#endif
