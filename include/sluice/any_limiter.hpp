// SPDX-License-Identifier: MIT
#ifndef SLUICE_ANY_LIMITER_HPP
#define SLUICE_ANY_LIMITER_HPP

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <sluice/decision.hpp>
#include <sluice/rate_limiter.hpp>

namespace sluice {

/// A RateLimiter whose policy and store are chosen at run time. Copies share the limiter; as thread-safe as it; one
/// virtual call more.
class AnyLimiter {
public:
    template <Policy P, class S>
    AnyLimiter(RateLimiter<P, S> limiter) : limiter_(std::make_shared<const Model<P, S>>(std::move(limiter))) {}

    [[nodiscard]] Decision try_consume(std::string_view key, Units cost = 1) const noexcept {
        return limiter_->try_consume(key, cost);
    }
    [[nodiscard]] Decision peek(std::string_view key, Units cost = 1) const noexcept {
        return limiter_->peek(key, cost);
    }
    std::error_code refund(std::string_view key, Units units) const noexcept { return limiter_->refund(key, units); }
    std::error_code reset(std::string_view key) const noexcept { return limiter_->reset(key); }
    void try_consume_many(std::span<const std::string_view> keys, std::span<Decision> out) const noexcept {
        limiter_->try_consume_many(keys, out);
    }
    template <detail::KeyRange R>
    void try_consume_many(const R& keys, std::span<Decision> out) const noexcept {
        detail::try_consume_range(*this, keys, out);
    }
    Quota quota() const noexcept { return limiter_->quota(); }
    /// Whether a call takes no round trip: see InProcessStore.
    bool is_in_process() const noexcept { return limiter_->is_in_process(); }
    const std::string& name() const noexcept { return limiter_->name(); }

private:
    struct Concept {
        virtual ~Concept() = default;
        virtual Decision try_consume(std::string_view, Units) const noexcept = 0;
        virtual Decision peek(std::string_view, Units) const noexcept = 0;
        virtual std::error_code refund(std::string_view, Units) const noexcept = 0;
        virtual std::error_code reset(std::string_view) const noexcept = 0;
        virtual void try_consume_many(std::span<const std::string_view>, std::span<Decision>) const noexcept = 0;
        virtual Quota quota() const noexcept = 0;
        virtual bool is_in_process() const noexcept = 0;
        virtual const std::string& name() const noexcept = 0;
    };

    template <class P, class S>
    struct Model final : Concept {
        explicit Model(RateLimiter<P, S> wrapped) : limiter(std::move(wrapped)) {}
        Decision try_consume(std::string_view key, Units cost) const noexcept override {
            return limiter.try_consume(key, cost);
        }
        Decision peek(std::string_view key, Units cost) const noexcept override { return limiter.peek(key, cost); }
        std::error_code refund(std::string_view key, Units units) const noexcept override {
            return limiter.refund(key, units);
        }
        std::error_code reset(std::string_view key) const noexcept override { return limiter.reset(key); }
        void try_consume_many(std::span<const std::string_view> keys, std::span<Decision> out) const noexcept override {
            limiter.try_consume_many(keys, out);
        }
        Quota quota() const noexcept override { return limiter.quota(); }
        bool is_in_process() const noexcept override { return InProcessStore<S>; }
        const std::string& name() const noexcept override { return limiter.name(); }
        RateLimiter<P, S> limiter;
    };

    std::shared_ptr<const Concept> limiter_;
};

}  // namespace sluice

#endif
