// SPDX-License-Identifier: MIT
#ifndef SLUICE_ASIO_ACQUIRE_OPERATION_HPP
#define SLUICE_ASIO_ACQUIRE_OPERATION_HPP

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include <asio/any_io_executor.hpp>
#include <asio/dispatch.hpp>
#include <asio/error_code.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <asio/strand.hpp>

#include <sluice/asio/handler_completion.hpp>
#include <sluice/asio/store_executor.hpp>
#include <sluice/decision.hpp>
#include <sluice/detail/int128.hpp>
#include <sluice/detail/saturate.hpp>
#include <sluice/detail/waiting/line.hpp>
#include <sluice/error.hpp>
#include <sluice/policies/leaky_bucket.hpp>
#include <sluice/policies/token_bucket.hpp>
#include <sluice/policy.hpp>
#include <sluice/rate_limiter.hpp>
#include <sluice/store.hpp>
#include <sluice/units.hpp>

namespace sluice::detail::asio_io {

/// One async_acquire. Everything but the constructor, begin() and cancel() runs on a strand of its own.
template <Policy P, class S, class Handler>
class AcquireOperation final : public waiting::Waiter,
                               public std::enable_shared_from_this<AcquireOperation<P, S, Handler>> {
public:
    AcquireOperation(const RateLimiter<P, S>& limiter, const P& policy, std::string key, Units units,
                     std::chrono::nanoseconds max_wait, Handler handler)
        : limiter_(limiter),
          policy_(policy), id_{~waiting_id(limiter), Scope<P>{limiter.name(), policy_}.id, std::move(key)},
          units_(units), strand_(::asio::any_io_executor{store_executor(limiter.store())}), timer_(strand_),
          done_(std::move(handler), store_executor(limiter.store())) {
        cost = units.count();
        deadline = nanoseconds{add(now().count(), std::max<std::int64_t>(0, max_wait.count()))};
        on_call = [](Waiter& waiter) {
            auto& self = static_cast<AcquireOperation&>(waiter);
            if (const auto me = self.weak_from_this().lock()) ::asio::post(self.strand_, [me] { me->called(); });
        };
    }
    /// Also with what it waited for: an io_context that ends.
    ~AcquireOperation() { leave(Decision{}); }
    AcquireOperation(const AcquireOperation&) = delete;
    AcquireOperation& operator=(const AcquireOperation&) = delete;

    void begin() {
        ::asio::dispatch(strand_, [me = this->shared_from_this()] { me->enter(); });
    }
    void cancel() {
        ::asio::post(strand_, [me = this->shared_from_this()] { me->cancelled(); });
    }

private:
    using nanoseconds = std::chrono::nanoseconds;
    using Clock = std::chrono::steady_clock;
    enum class State : std::uint8_t { in_line, sleeping, asking, delayed, ended };

    /// A refund gives back what these took, whenever that was. Of others it has to be known what was taken, and when.
    static constexpr bool refunds_exactly = std::same_as<P, TokenBucket> || std::same_as<P, LeakyBucket>;
    static constexpr bool settles = !refunds_exactly && SettlingPolicy<P> && AsyncSettlingStore<S, P>;

    static nanoseconds now() noexcept { return Clock::now().time_since_epoch(); }

    void enter() {
        if (state_ == State::ended) return;
        if (units_.is_negative()) return end(ended_by(Errc::invalid_argument));
        if (QueuePolicy<P> || cost == 0 || cost > policy_.quota().limit) return ask();
        try {
            room().enter(id_, *this);
        } catch (const std::bad_alloc&) {
            return end(resolved(failure(Errc::no_memory)));
        }
        has_entered_ = true;
        called();
    }

    /// It is the first in line, or was sent away.
    void called() {
        if (state_ != State::in_line) return;
        switch (turn.load()) {
            case waiting::Turn::waiting: return sleep_until(now() + std::chrono::hours{1}, State::in_line);
            case waiting::Turn::first:
                // Where it would be too late, the store says so at once.
                if (opens_at > now() && opens_at <= deadline) return sleep_until(opens_at, State::sleeping);
                return ask();
            case waiting::Turn::full: return end(ended_by(Errc::busy));
            case waiting::Turn::failed: return end(resolved(decision));
            case waiting::Turn::refused:
                decision.retry_after = std::max(nanoseconds{1}, opens_at - now());
                return end(decision);
        }
    }

    void ask() {
        state_ = State::asking;
        ++sleeps_;
        timer_.cancel();
        const auto me = this->shared_from_this();
        const auto done = [me](const Consumption& taken) {
            ::asio::dispatch(me->strand_, [me, taken] { me->answered(taken); });
        };
        Request<P> question = request(cost == 0 ? Operation::peek : Operation::consume);
        question.max_delay = std::max(nanoseconds{0}, deadline - now());
        if constexpr (settles) {
            limiter_.store().consume_async(question, done);
        } else {
            limiter_.store().decide_async(question, [done](Decision answer) { done({answer}); });
        }
    }
    Request<P> request(Operation operation) const noexcept {
        return {Scope<P>{limiter_.name(), policy_, id_.scope}, id_.key, cost, operation};
    }

    void answered(const Consumption& taken) {
        taken_ = taken;
        const Decision& answer = taken_.decision;
        if (state_ == State::ended) {  // meanwhile
            if (answer.allowed) give_back();
            return;
        }
        if (!is_decided(answer.error)) {
            if (has_entered_ && is_failure(answer.error)) room().fail(id_, answer);
            return end(resolved(answer));
        }
        if (answer.allowed) return serve(answer);
        if (!has_entered_ || answer.retry_after <= nanoseconds{0}) return end(answer);
        const nanoseconds opens{add(now().count(), answer.retry_after.count())};
        room().postpone(id_, opens, answer);
        // Two clocks, of which the store's may be late, do not make a wait end in vain.
        const nanoseconds slack{has_asked_ ? 1'000'000 : 0};
        if (opens - slack > deadline) return end(answer);
        // Who waited as told and was denied is not alone.
        const nanoseconds jitter = std::exchange(has_asked_, true) ? random(answer.retry_after / 4) : nanoseconds{0};
        sleep_until(std::max(opens, std::min(deadline, opens + jitter)), State::sleeping);
    }

    void serve(Decision answer) {
        const nanoseconds delay = std::exchange(answer.delay, nanoseconds{0});
        if (delay <= nanoseconds{0}) return end(answer);
        const nanoseconds left = std::max(nanoseconds{0}, deadline - now());
        if (delay > left) {  // of a store that does not mind Request::max_delay
            give_back();
            answer.allowed = false;
            answer.retry_after = delay - left;
            return end(answer);
        }
        leave(answer);  // the next may take its place while this one waits for its delay
        served_ = answer;
        sleep_until(now() + delay, State::delayed);
    }

    void sleep_until(nanoseconds time, State state) {
        state_ = state;
        timer_.expires_at(Clock::time_point{std::chrono::duration_cast<Clock::duration>(time)});
        // The timer is also what keeps the operation.
        timer_.async_wait([me = this->shared_from_this(), number = ++sleeps_](::asio::error_code) {
            if (me->sleeps_ != number) return;
            if (me->state_ == State::in_line) return me->called();
            if (me->state_ == State::sleeping) return me->ask();
            if (me->state_ == State::delayed) me->end(me->served_);
        });
    }

    void cancelled() {
        if (state_ == State::ended) return;
        if (state_ == State::delayed) give_back();
        end(ended_by(Errc::cancelled));
    }

    /// What was given.
    void give_back() const {
        if constexpr (settles) {
            Request<P> back = request(Operation::give_back);
            back.units = taken_.units;
            back.consumed_at = taken_.at;
            back.source = taken_.source;
            if (back.units != 0) limiter_.store().decide_async(back, [](Decision) {});
        } else if constexpr (refunds_exactly) {
            limiter_.store().decide_async(request(Operation::refund), [](Decision) {});
        }
    }

    void end(const Decision& answer) {
        state_ = State::ended;
        ++sleeps_;
        timer_.cancel();
        leave(answer);
        std::move(done_)(answer);
    }
    void leave(const Decision& answer) {
        if (std::exchange(has_entered_, false))
            room().leave(id_, *this, answer, [&](std::uint64_t next_cost) { return next_ask(answer, next_cost); });
    }
    /// As soon as the units come at the policy's rate.
    nanoseconds next_ask(const Decision& answer, std::uint64_t next_cost) const noexcept {
        if (InProcessStore<S> || !answer.allowed || answer.remaining >= next_cost) return nanoseconds::min();
        const Quota quota = policy_.quota();
        const auto missing = static_cast<uint128>(next_cost - answer.remaining);
        const auto wait = missing * static_cast<std::uint64_t>(quota.window.count()) / quota.limit + 1;
        return now() + std::min(quota.window, nanoseconds{static_cast<std::int64_t>(wait)});
    }

    waiting::Room& room() const { return waiting::Room::of(id_); }
    Decision resolved(const Decision& failed) const noexcept {
        return settled_failure(failed.error, policy_.quota().limit, cost, limiter_.on_failure());
    }
    Decision ended_by(Errc error) const noexcept {
        Decision answer = failure(error);
        answer.limit = policy_.quota().limit;
        return answer;
    }
    /// From 0 to `most`: different in processes that were told the same.
    nanoseconds random(nanoseconds most) const noexcept {
        auto mixed = static_cast<std::uint64_t>(now().count()) ^ reinterpret_cast<std::uintptr_t>(this);
        mixed = (mixed ^ mixed >> 31) * 0x9e3779b97f4a7c15;
        return nanoseconds{static_cast<std::int64_t>((mixed >> 32) % (static_cast<std::uint64_t>(most.count()) + 1))};
    }

    const RateLimiter<P, S> limiter_;
    const P policy_;
    const waiting::Room::Key id_;
    const Units units_;
    ::asio::strand<::asio::any_io_executor> strand_;
    ::asio::steady_timer timer_;
    std::uint64_t sleeps_ = 0;
    State state_ = State::in_line;
    bool has_entered_ = false;
    bool has_asked_ = false;
    Consumption taken_{};  // by the last answer
    Decision served_{};
    HandlerCompletion<Handler, StoreExecutor<S>> done_;
};

}  // namespace sluice::detail::asio_io

#endif
