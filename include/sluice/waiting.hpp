// SPDX-License-Identifier: MIT
#ifndef SLUICE_WAITING_HPP
#define SLUICE_WAITING_HPP

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include <sluice/decision.hpp>
#include <sluice/detail/algorithm.hpp>
#include <sluice/detail/exceptions.hpp>
#include <sluice/detail/int128.hpp>
#include <sluice/detail/saturate.hpp>
#include <sluice/detail/stop_token.hpp>
#include <sluice/detail/waiting/line.hpp>
#include <sluice/detail/waiting/wait_clock.hpp>
#include <sluice/error.hpp>
#include <sluice/policy.hpp>
#include <sluice/rate_limiter.hpp>
#include <sluice/settling.hpp>
#include <sluice/store.hpp>

namespace sluice {

/// How a wait ended.
struct Waited {
    Decision decision{};                 ///< `delay` is 0: it is over
    std::chrono::nanoseconds waited{0};  ///< by the clock that acquire() waits by

    explicit operator bool() const noexcept { return decision.allowed; }
};

namespace detail::waiting {

using std::chrono::nanoseconds;

/// One call of acquire(). `resolve(decision)` makes what the store failed the failure mode's answer.
template <Policy P, class S>
class Wait {
public:
    Wait(const S& store, const Request<P>& request, std::chrono::nanoseconds max_wait, const StopToken& stop) noexcept
        : store_(store), clock_(store), request_(request), stop_(stop), start_(clock_.now()),
          deadline_(add(start_.count(), std::max<std::int64_t>(0, max_wait.count()))) {}

    nanoseconds waited() const noexcept { return clock_.now() - start_; }

    /// Asks once, and then waits until the delay is over.
    template <class Resolve>
    Decision in_queue(Resolve resolve) const noexcept {
        Consumption taken = ask();
        if (taken.decision.error) resolve(taken.decision);
        return served(taken);
    }

    /// Waits in line until it is the first, and then until the units are there. May throw std::bad_alloc before it begins.
    template <class Resolve>
    Decision in_line(std::uint64_t limiter, Resolve resolve) const {
        const Room::Key id{limiter, request_.scope.id, std::string{request_.key}};
        Room& room = Room::of(id);
        Waiter me;
        me.cost = request_.units;
        me.deadline = deadline_;
        const std::uint64_t ahead = room.enter(id, me);
        const Consumption taken = from_line(room, id, me, ahead, resolve);
        room.leave(id, me, taken.decision,
                   [&](std::uint64_t next_cost) { return next_ask(taken.decision, next_cost); });
        clock_.wake();
        return served(taken);  // out of the line: the next may take its place while this one waits for its delay
    }

private:
    struct Ring {
        std::mutex& mutex;
        std::condition_variable& bell;
        const WaitClock<S>& clock;
        void operator()() const noexcept {
            { const std::lock_guard lock{mutex}; }  // not between a look at the token and the sleep
            bell.notify_all();
            clock.wake();
        }
    };

    /// Until then, or done(), or a stop.
    template <class Done>
    void sleep(nanoseconds until, std::mutex& mutex, std::condition_variable& bell, Done done) const {
        const StopCallback<Ring> on_stop{stop_, Ring{mutex, bell, clock_}};
        clock_.wait_until(until, mutex, bell, [&] { return stop_.stop_requested() || done(); });
    }

    Consumption ask() const noexcept {
        Request<P> request{request_};
        request.max_delay = time_left();
        return consume(store_, request, clock_.now());
    }
    nanoseconds time_left() const noexcept { return sluice::detail::wait(clock_.now().count(), deadline_.count()); }
    nanoseconds from_decision(const Consumption& asked, nanoseconds wait) const noexcept {
        const nanoseconds base = WaitClock<S>::is_stores ? asked.at : clock_.now();
        return nanoseconds{add(base.count(), wait.count())};
    }

    template <class Resolve>
    Consumption from_line(Room& room, const Room::Key& id, Waiter& me, std::uint64_t ahead,
                          Resolve resolve) const noexcept {
        Consumption taken;
        Decision& decision = taken.decision;
        if (me.turn == Turn::waiting && cannot_be_in_time(ahead, decision)) return taken;
        sleep(nanoseconds::max(), room.mutex(), me.bell, [&] { return me.turn != Turn::waiting; });
        switch (me.turn) {
            case Turn::first: break;
            case Turn::waiting: decision = ended(Errc::cancelled); return taken;
            case Turn::full: decision = ended(Errc::busy); return taken;
            case Turn::refused:
                decision = me.decision;
                decision.retry_after =
                    std::max(nanoseconds{1}, sluice::detail::wait(clock_.now().count(), me.opens_at.count()));
                return taken;
            case Turn::failed:
                decision = me.decision;
                resolve(decision);
                return taken;
        }
        const auto sleep_until = [&](nanoseconds time) { sleep(time, room.mutex(), me.bell, [] { return false; }); };
        // Where it would be too late, the store says so at once.
        if (me.opens_at > clock_.now() && me.opens_at <= deadline_) sleep_until(me.opens_at);
        for (bool has_asked = false; !stop_.stop_requested(); has_asked = true) {
            taken = ask();
            if (decision.error) {
                if (is_failure(decision.error)) room.fail(id, decision);
                resolve(decision);
            }
            const bool is_told = decision.retry_after > nanoseconds{0} && decision.retry_after != Decision::never;
            if (decision.allowed || !is_told || is_delay_too_long()) return taken;
            const nanoseconds opens_at = from_decision(taken, decision.retry_after);
            room.postpone(id, opens_at, decision);
            clock_.wake();
            // Two clocks, of which the store's may be late, do not make a wait end in vain.
            const nanoseconds slack{has_asked && !WaitClock<S>::is_stores ? 1'000'000 : 0};
            if (opens_at - slack > deadline_) return taken;
            // Who waited as told and was denied is not alone.
            const nanoseconds jitter =
                InProcessStore<S> || !has_asked ? nanoseconds{0} : random(decision.retry_after / 4);
            sleep_until(std::max(opens_at, std::min(deadline_, opens_at + jitter)));
        }
        taken = {};
        decision = ended(Errc::cancelled);
        return taken;
    }

    /// What those before it and this one wait for together is not there before the deadline. In this process alone, since
    /// those who wait are to cost a server nothing.
    bool cannot_be_in_time(std::uint64_t ahead, Decision& decision) const noexcept {
        if constexpr (InProcessStore<S>) {
            Request<P> request{request_};
            request.operation = Operation::peek;
            request.units = std::min(request_.scope.policy.quota().limit, ahead + request_.units);
            decision = store_.decide(request);
            if (!decision.allowed && !decision.error && decision.retry_after > time_left()) return true;
            decision = {};
        }
        return false;
    }

    /// Of a denial: whether the delay alone is the reason, so that to wait is in vain, since time for the delay runs out, too.
    bool is_delay_too_long() const noexcept {
        if constexpr (!PacingPolicy<P>) return false;
        Request<P> request{request_};
        request.operation = Operation::peek;
        return store_.decide(request).allowed;
    }

    /// When the next had better ask a server: as soon as the units come at the policy's rate.
    nanoseconds next_ask(const Decision& decision, std::uint64_t cost) const noexcept {
        if (InProcessStore<S> || !decision.allowed || decision.remaining >= cost) return nanoseconds::min();
        const Quota quota = request_.scope.policy.quota();
        const auto missing = static_cast<uint128>(cost - decision.remaining);
        const auto wait = missing * static_cast<std::uint64_t>(quota.window.count()) / quota.limit + 1;
        return clock_.now() + std::min(quota.window, nanoseconds{static_cast<std::int64_t>(wait)});
    }

    Decision served(const Consumption& taken) const {
        Decision decision = taken.decision;
        const nanoseconds delay = std::exchange(decision.delay, nanoseconds{0});
        if (delay <= nanoseconds{0}) return decision;
        const nanoseconds until = from_decision(taken, delay);
        std::mutex mutex;
        std::condition_variable bell;
        sleep(until, mutex, bell, [] { return false; });
        if (clock_.now() >= until) return decision;
        if (taken.units != 0) static_cast<void>(store_.decide(giving_back<P, S>(request_, taken)));
        return ended(Errc::cancelled);
    }

    Decision ended(Errc error) const noexcept {
        Decision decision = failure(error);
        decision.limit = request_.scope.policy.quota().limit;
        return decision;
    }

    /// From 0 to `most`: different in processes that were told the same.
    nanoseconds random(nanoseconds most) const noexcept {
        auto mixed = static_cast<std::uint64_t>(start_.count()) ^ reinterpret_cast<std::uintptr_t>(this);
        mixed = (mixed ^ mixed >> 31) * 0x9e3779b97f4a7c15;
        return nanoseconds{static_cast<std::int64_t>((mixed >> 32) % (static_cast<std::uint64_t>(most.count()) + 1))};
    }

    const S& store_;
    WaitClock<S> clock_;
    const Request<P>& request_;
    const StopToken& stop_;
    nanoseconds start_;
    nanoseconds deadline_;
};

}  // namespace detail::waiting

template <Policy P, class S>
Waited RateLimiter<P, S>::acquire(std::string_view key, Units cost, std::chrono::nanoseconds max_wait,
                                  const detail::StopToken& stop) const noexcept {
    return acquire(scope(), key, cost, max_wait, stop);
}

template <Policy P, class S>
Waited RateLimiter<P, S>::acquire(std::string_view key, Units cost, std::chrono::nanoseconds max_wait, const P& policy,
                                  const detail::StopToken& stop) const noexcept {
    return acquire(Scope<P>{options_.name, policy}, key, cost, max_wait, stop);
}

template <Policy P, class S>
Waited RateLimiter<P, S>::acquire(const Scope<P>& scope, std::string_view key, Units cost,
                                  std::chrono::nanoseconds max_wait, const detail::StopToken& stop) const noexcept {
    const auto start = start_of_observation();
    const Request<P> request{scope, key, cost.count(), Operation::consume};
    const detail::waiting::Wait<P, S> wait{store_, request, max_wait, stop};
    const auto resolve = [&](Decision& decision) { apply_failure_mode(decision, scope.policy, cost.count()); };
    Waited result;
    Decision& decision = result.decision;
    if (cost.is_negative()) {
        decision = rejection(scope.policy);
    } else if (cost.count() == 0) {
        decision = ask(scope, key, cost);
        decision.delay = {};
    } else if (QueuePolicy<P> || cost.count() > scope.policy.quota().limit) {
        decision = wait.in_queue(resolve);
    } else {
        decision = detail::try_or([&] { return wait.in_line(waiting_id_.number(), resolve); },
                                  [&] {
                                      Decision failed = failure(Errc::no_memory);
                                      resolve(failed);
                                      return failed;
                                  });
    }
    result.waited = wait.waited();
    if (options_.observer) report(key, cost.count(), decision, std::chrono::steady_clock::now() - start);
    return result;
}

}  // namespace sluice

#endif
