// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_ASYNC_NODE_HPP
#define SLUICE_REDIS_LINK_ASYNC_NODE_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <new>
#include <system_error>
#include <utility>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/redis/link/async_call.hpp>
#include <sluice/redis/link/async_connection.hpp>
#include <sluice/redis/link/server.hpp>
#include <sluice/redis/redis_options.hpp>
#include <sluice/redis/redis_stats.hpp>
#include <sluice/redis/redis_url.hpp>
#include <sluice/redis/wire/encoded_keys.hpp>
#include <sluice/remote/address.hpp>
#include <sluice/remote/breaker.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/remote/loop_wakeup.hpp>
#include <sluice/remote/watch.hpp>

namespace sluice::detail::redis {

/// What the nodes of one client share.
struct AsyncContext {
    explicit AsyncContext(RedisOptions of_user) : options(std::move(of_user)), breaker(options.checked().breaker) {}

    /// To be told by the next process().
    void answer(AsyncCall& call, std::error_code error) noexcept {
        call.decision = Decision{};
        call.decision.error = error;
        answered(call);
    }
    void answered(AsyncCall& call) noexcept {
        if (call.decision.error) counters.failed(call.decision.error);
        ready.push_back(call);
    }

    const RedisOptions options;
    detail::remote::Breaker breaker;
    Counters counters;
    std::shared_ptr<detail::remote::LoopWakeup> wakeup = std::make_shared<detail::remote::LoopWakeup>();
    AsyncCallList ready;
    EncodedKeys scratch;
};

/// One server, how an event loop talks to it, and the calls that wait for that. What is asked while a request is under way
/// goes together in the next one, on a connection that has become free; or, where the server is far or slow, after a
/// moment on a further one. Calls are answered by their deadlines, in whichever state they are.
class AsyncNode {
public:
    using Deadline = detail::remote::Deadline;
    using Clock = Deadline::Clock;
    using Breaker = detail::remote::Breaker;

    AsyncNode(const RedisUrl& url, const detail::remote::Endpoint& endpoint, AsyncContext& context)
        : context_(context), server_{url, context.options, context.counters, endpoint} {
        for (std::size_t i = 0; i != context.options.connections; ++i) lanes_.emplace_back(server_, context.wakeup, i);
    }

    /// Does no input or output yet.
    void ask(AsyncCall& call, Breaker::Permit permit) noexcept {
        if (permit == Permit::probe) permit_waiting_ = permit;
        if (waiting_.size() < context_.options.max_waiting) return waiting_.push_back(call);
        context_.answer(call, Errc::busy);
        settle_probes();
    }

    bool has_calls() const noexcept {
        return !waiting_.empty() || any([](const Lane& lane) { return !lane.sent.empty(); });
    }
    std::size_t open_connections() const noexcept {
        return static_cast<std::size_t>(
            std::count_if(lanes_.begin(), lanes_.end(), [](const Lane& lane) { return lane.connection.is_open(); }));
    }

    /// Appends what waits for descriptors. What goes on for nobody (calls that were cancelled) is left until somebody asks.
    void watch(std::vector<Watch>& watches) const {
        if (!has_calls()) return;
        for (const Lane& lane : lanes_) {
            if (const auto watch = lane.connection.watch()) watches.push_back(*watch);
        }
    }
    bool has_descriptor(std::uint64_t id) const noexcept {
        return any([&](const Lane& lane) { return lane.connection.has_descriptor(id); });
    }
    /// When process() is due; Clock::time_point::min() for at once.
    Clock::time_point due() const noexcept {
        if (!has_calls()) return Clock::time_point::max();
        auto due = Clock::time_point::max();
        for (const Lane& lane : lanes_) {
            due = std::min(due, lane.connection.due());
            if (!lane.sent.empty()) due = std::min(due, lane.sent.front().deadline);
        }
        if (waiting_.empty()) return due;
        if (any([](const Lane& lane) { return lane.connection.stage() == Stage::idle; }))
            due = std::min(due, send_due());
        due = std::min({due, dial_due(), waiting_.front().deadline});
        return due <= Clock::now() ? Clock::time_point::min() : due;
    }

    /// Something happened on `fd`, or nothing (-1): time has passed, or there are calls.
    void process(int fd) noexcept {
        try {
            for (Lane& lane : lanes_) {
                const auto watch = lane.connection.watch();
                if (fd >= 0 && watch && watch->fd == fd) lane.connection.on_ready();
                conclude(lane);
                lane.connection.on_time(Clock::now());
                conclude(lane);
            }
            expire(Clock::now());
            start();
        } catch (const std::bad_alloc&) {
            fail_all(Errc::no_memory);
            for (Lane& lane : lanes_) lane.connection.close();
        }
    }

    /// Answers all calls, without a word to the server.
    void fail_all(Errc why) noexcept {
        const auto fail = [&](AsyncCallList& calls) {
            while (!calls.empty()) context_.answer(*calls.pop_front(), why);
        };
        for (Lane& lane : lanes_) fail(lane.sent);
        fail(waiting_);
        settle_probes();
    }

private:
    using Permit = Breaker::Permit;
    using Stage = AsyncConnection::Stage;

    /// Of one exchange: as many as a loop serves in a millisecond or two.
    static constexpr std::size_t max_decisions = 512;
    /// So long calls wait for a connection that is in use, so that they go together, before another is dialled or used.
    static constexpr std::chrono::milliseconds patience{1};
    /// So long one that could not be dialled is left alone while others serve.
    static constexpr std::chrono::milliseconds rest{250};

    struct Lane {
        Lane(Server& server, const std::shared_ptr<detail::remote::LoopWakeup>& wakeup, std::size_t number)
            : connection(server, wakeup, number) {}

        AsyncConnection connection;
        AsyncCallList sent{};
        Permit permit = Permit::normal;  // of the attempt that is under way
        Clock::time_point rests_until{};
    };

    template <class Predicate>
    bool any(Predicate predicate) const noexcept {
        return std::any_of(lanes_.begin(), lanes_.end(), predicate);
    }
    bool is_open() const noexcept { return open_connections() != 0; }

    /// Sends what waits on connections that are free, and dials.
    void start() {
        while (!waiting_.empty()) {
            for (Lane& lane : lanes_) {
                if (waiting_.empty()) return;
                if (send_due() > Clock::now()) break;
                if (!lane.connection.is_usable()) continue;
                send(lane);
                conclude(lane);
            }
            if (waiting_.empty() || dial_due() > Clock::now()) return;
            Lane& lane = *closed_lane();
            lane.permit = take_permit();
            lane.connection.dial(Deadline{context_.options.timeout});
            const bool is_dialling = lane.connection.is_dialling();
            conclude(lane);
            if (is_dialling) return;
        }
    }

    /// When one more connection has to be dialled for those that wait; never while one is being dialled.
    Clock::time_point dial_due() const noexcept {
        if (any([](const Lane& lane) { return lane.connection.is_dialling(); })) return Clock::time_point::max();
        const Lane* const lane = closed_lane();
        if (lane == nullptr) return Clock::time_point::max();
        if (!is_open()) return Clock::time_point::min();
        return std::max(lane->rests_until, send_due());
    }
    const Lane* closed_lane() const noexcept {
        const auto closed = std::find_if(lanes_.begin(), lanes_.end(),
                                         [](const Lane& lane) { return lane.connection.stage() == Stage::closed; });
        return closed == lanes_.end() ? nullptr : &*closed;
    }
    Lane* closed_lane() noexcept { return const_cast<Lane*>(std::as_const(*this).closed_lane()); }
    /// When those that wait may have a connection of their own.
    Clock::time_point send_due() const noexcept {
        const bool is_asking = any([](const Lane& lane) { return lane.connection.stage() == Stage::exchanging; });
        if (!is_asking || waiting_.size() >= max_decisions) return Clock::time_point::min();
        return waiting_.front().deadline - context_.options.timeout + patience;
    }

    void send(Lane& lane) {
        CallSet& calls = lane.connection.calls();
        calls.clear();
        const auto now = Clock::now();
        bool any_late = false;
        while (!waiting_.empty() && calls.decisions() < max_decisions) {
            AsyncCall& call = *waiting_.pop_front();
            if (call.is_abandoned()) {
                context_.answer(call, Errc::cancelled);
            } else if (call.deadline - now <= lane.connection.round_trip()) {
                any_late = true;
                context_.answer(call, Errc::timeout);
            } else if (const auto error = encode(call, calls)) {
                context_.answer(call, error);
            } else {
                lane.sent.push_back(call);
            }
        }
        if (any_late) lane.connection.note_late();
        if (lane.sent.empty()) return settle_probes();
        if (permit_waiting_ == Permit::probe) lane.permit = take_permit();
        const auto timeout = context_.options.timeout;
        lane.connection.begin(Deadline{lane.sent.back().deadline - timeout, timeout});
    }
    std::error_code encode(AsyncCall& call, CallSet& calls) noexcept {
        try {
            return call.encode(context_.scratch, calls);
        } catch (const std::bad_alloc&) {
            return Errc::no_memory;
        }
    }

    /// Looks whether a dial or an exchange has ended, and what follows.
    void conclude(Lane& lane) {
        const auto ending = lane.connection.take_ending();
        if (!ending) return;
        if (ending->is_unsent) {
            waiting_.prepend(lane.sent);
        } else if (ending->was_dial) {
            if (ending->error) {
                report(lane, ending->outcome.evidence);
                lane.rests_until = Clock::now() + rest;
                if (!is_open()) fail_waiting(ending->error);
            }
        } else {
            report(lane, ending->outcome.evidence);
            while (!lane.sent.empty()) {
                AsyncCall& call = *lane.sent.pop_front();
                call.decode(lane.connection.calls());
                context_.answered(call);
            }
        }
        settle_probes();
    }

    /// After a dial. Who came late may still have the time for another.
    void fail_waiting(std::error_code error) noexcept {
        if (error == Errc::timeout) return expire(Clock::now());
        while (!waiting_.empty()) context_.answer(*waiting_.pop_front(), error);
    }
    /// Those whose time is over; the first to come are the first to go.
    void expire(Clock::time_point now) noexcept {
        const auto expire_first = [&](AsyncCallList& calls) {
            while (!calls.empty() && calls.front().deadline <= now) context_.answer(*calls.pop_front(), Errc::timeout);
        };
        for (Lane& lane : lanes_) expire_first(lane.sent);
        expire_first(waiting_);
        settle_probes();
    }

    // The breaker's probe is the attempt, a dial and the exchange after it, for which the call was let through.
    Permit take_permit() noexcept { return std::exchange(permit_waiting_, Permit::normal); }
    void report(Lane& lane, Breaker::Evidence evidence) noexcept {
        context_.breaker.report(std::exchange(lane.permit, Permit::normal), evidence, Clock::now());
    }
    /// Where nobody is left for whom to find out.
    void settle_probes() noexcept {
        const auto now = Clock::now();
        if (waiting_.empty() && take_permit() == Permit::probe)
            context_.breaker.report(Permit::probe, Breaker::Evidence::nothing, now);
        if (has_calls()) return;
        for (Lane& lane : lanes_) {
            const bool goes_on = lane.connection.is_dialling() || lane.connection.stage() == Stage::exchanging;
            if (!goes_on && lane.permit == Permit::probe) report(lane, Breaker::Evidence::nothing);
        }
    }

    AsyncContext& context_;
    Server server_;
    std::deque<Lane> lanes_;  // does not move what is in it
    AsyncCallList waiting_;
    Permit permit_waiting_ = Permit::normal;  // of the next attempt
};

}  // namespace sluice::detail::redis

#endif
