// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_ASYNC_NODE_HPP
#define SLUICE_REDIS_LINK_ASYNC_NODE_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <new>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/redis/link/async_call.hpp>
#include <sluice/redis/link/async_lane.hpp>
#include <sluice/redis/link/async_topology.hpp>
#include <sluice/redis/link/master_search.hpp>
#include <sluice/redis/link/server.hpp>
#include <sluice/redis/redis_stats.hpp>
#include <sluice/remote/address.hpp>
#include <sluice/remote/breaker.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/remote/watch.hpp>

namespace sluice::detail::redis {

/// One server, or whichever sentinels name, how an event loop talks to it, and the calls that wait for that. What is asked
/// while a request is under way goes together in the next one, on a connection that has become free; or, where the server
/// is far or slow, after a moment on a further one. Calls are answered by their deadlines, in whichever state they are.
class AsyncNode final : public AsyncTopology {
public:
    using Deadline = detail::remote::Deadline;
    using Clock = Deadline::Clock;
    using Breaker = detail::remote::Breaker;

    /// Calls that have their answer go to `answered`.
    AsyncNode(detail::remote::Endpoint endpoint, AsyncContext& context, AsyncCallList& answered)
        : context_(context), answered_(answered), breaker_(context.options.breaker),
          server_(context, std::move(endpoint)) {
        if (server_.is_named_by_sentinels())
            sentinels_.emplace(std::make_shared<SentinelServers>(context), &context.loop);
        for (std::size_t i = 0; i != context.options.connections; ++i) lanes_.emplace_back(server_, context.loop);
    }

    Server& server() noexcept { return server_; }
    const Breaker& breaker() const noexcept { return breaker_; }

    /// Does no input or output yet.
    void ask(AsyncCall& call, Clock::time_point now) noexcept override {
        const auto permit = breaker_.ask(now, context_.options.timeout);
        if (permit == Permit::none) return answer(call, Errc::breaker_open);
        if (permit == Permit::probe) permit_waiting_ = permit;
        if (waiting_.size() < context_.options.max_waiting) return waiting_.insert(call);
        answer(call, Errc::busy);
        settle_probes();
    }

    bool has_calls() const noexcept {
        return !waiting_.empty() || any([](const Lane& lane) { return !lane.sent.empty(); });
    }
    void add_to(RedisStats& stats) const override { Counters::add_node(*this, stats); }
    std::size_t open_connections() const noexcept {
        return static_cast<std::size_t>(
            std::count_if(lanes_.begin(), lanes_.end(), [](const Lane& lane) { return lane.is_open(); }));
    }

    /// Appends what waits for descriptors. What goes on for nobody (calls that were cancelled) is left until somebody asks.
    void watch(std::vector<Watch>& watches) const override {
        if (sentinels_) {
            if (const auto watch = sentinels_->watch()) watches.push_back(*watch);
        }
        if (!has_calls()) return;
        for (const Lane& lane : lanes_) {
            if (const auto watch = lane.watch()) watches.push_back(*watch);
        }
    }
    /// When process() is due; in the past for at once.
    Clock::time_point due() const noexcept override {
        auto due = sentinels_ ? sentinels_->due() : Clock::time_point::max();
        if (!has_calls()) return due;
        bool is_idle = false;
        for (const Lane& lane : lanes_) {
            due = std::min({due, lane.due(), lane.sent.earliest()});
            is_idle = is_idle || lane.stage() == Stage::idle;
        }
        if (waiting_.empty()) return due;
        due = std::min(due, waiting_.earliest());
        if (is_held_up(Clock::now())) return due;
        if (is_idle) due = std::min(due, send_due());
        return std::min(due, dial_due());
    }

    /// Something happened on `fd`, or nothing (-1): time has passed, or there are calls.
    void process(int fd) noexcept override {
        try {
            auto now = Clock::now();
            if (sentinels_) {
                sentinels_->process(fd, now);
                take_location();
            }
            for (Lane& lane : lanes_) {
                lane.process(fd, now);
                conclude(lane);
            }
            now = Clock::now();
            expire(now);
            start();
        } catch (const std::bad_alloc&) {
            fail_all(Errc::no_memory);
            for (Lane& lane : lanes_) lane.close();
            if (sentinels_) sentinels_->abandon();
        }
    }

    /// Answers all calls, without a word to the server.
    void fail_all(std::error_code why) noexcept override {
        for (Lane& lane : lanes_) fail(lane.sent, why);
        fail(waiting_, why);
        settle_probes();
    }

private:
    using Permit = Breaker::Permit;
    using Stage = AsyncLane::Stage;

    /// So long calls wait for a connection that is in use, so that they go together, before another is dialled or used.
    static constexpr std::chrono::milliseconds patience{1};
    /// So long one that could not be dialled is left alone while others serve.
    static constexpr std::chrono::milliseconds rest{250};

    using Lane = AsyncLane;

    template <class Predicate>
    bool any(Predicate predicate) const noexcept {
        return std::any_of(lanes_.begin(), lanes_.end(), predicate);
    }
    bool is_open() const noexcept {
        return any([](const Lane& lane) { return lane.is_open(); });
    }

    void answer(AsyncCall& call, std::error_code error) noexcept {
        call.error = error;
        answered_.push_back(call);
    }
    void fail(AsyncCallList& calls, std::error_code why) noexcept {
        while (!calls.empty()) answer(*calls.pop_front(), why);
    }

    /// Sends what waits on connections that are free, and dials.
    void start() {
        while (!waiting_.empty()) {
            if (sentinels_ && is_open() && sentinels_->is_due(Clock::now())) {
                sentinels_->begin(Deadline{context_.options.timeout}.share(4));
                take_location();
            }
            if (is_held_up(Clock::now())) return;
            for (Lane& lane : lanes_) {
                if (waiting_.empty()) return;
                if (send_due() > Clock::now()) break;
                if (!lane.is_usable()) continue;
                send(lane);
                conclude(lane);
            }
            if (waiting_.empty() || dial_due() > Clock::now()) return;
            dial(*closed_lane());
        }
    }
    void dial(Lane& lane) {
        const Deadline deadline{context_.options.timeout};
        lane.permit = take_permit();
        lane.dial(deadline);
        if (lane.is_locating()) {
            sentinels_->begin(deadline);
            take_location();
        }
        conclude(lane);
    }
    /// Whether a master that may have been replaced is not to be asked before the sentinels were.
    bool is_held_up(Clock::time_point now) const noexcept {
        return sentinels_ && is_open() && sentinels_->holds_up(now);
    }
    /// Where sentinels have found out where the master is. Connections to another one are of no more use, as the endpoints
    /// show; if nothing was found, all stays as it is.
    void take_location() {
        const auto found = sentinels_->take_result();
        if (!found) return;
        if (!found->error) server_.endpoints.move_to(found->addresses);
        for (Lane& lane : lanes_) {
            lane.located(found->error, found->host);
            conclude(lane);
        }
    }

    /// When one more connection has to be dialled for those that wait; never while one is being dialled.
    Clock::time_point dial_due() const noexcept {
        if (any([](const Lane& lane) { return lane.stage() == Stage::dialling; })) return Clock::time_point::max();
        if (sentinels_ && sentinels_->is_asking()) return Clock::time_point::max();  // about something else
        const Lane* const lane = closed_lane();
        if (lane == nullptr) return Clock::time_point::max();
        if (!is_open()) return Clock::time_point::min();
        return std::max(lane->rests_until, send_due());
    }
    const Lane* closed_lane() const noexcept {
        const auto closed =
            std::find_if(lanes_.begin(), lanes_.end(), [](const Lane& lane) { return lane.stage() == Stage::closed; });
        return closed == lanes_.end() ? nullptr : &*closed;
    }
    Lane* closed_lane() noexcept { return const_cast<Lane*>(std::as_const(*this).closed_lane()); }
    /// When those that wait may have a connection of their own.
    Clock::time_point send_due() const noexcept {
        const bool is_asking = any([](const Lane& lane) { return lane.stage() == Stage::exchanging; });
        if (!is_asking || waiting_.size() >= AsyncLane::max_decisions) return Clock::time_point::min();
        return waiting_.front().deadline - context_.options.timeout + patience;
    }

    void send(Lane& lane) {
        lane.take(waiting_, context_.scratch, [&](AsyncCall& call, std::error_code why) { answer(call, why); });
        if (lane.sent.empty()) return settle_probes();
        if (permit_waiting_ == Permit::probe) lane.permit = take_permit();
        lane.begin(context_.options.timeout);
    }

    /// Looks whether a dial or an exchange has ended, and what follows.
    void conclude(Lane& lane) {
        const auto ending = lane.take_ending();
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
            lane.decode_to(answered_);
        }
        settle_probes();
    }

    /// After a dial. Who came late may still have the time for another.
    void fail_waiting(std::error_code error) noexcept {
        if (error == Errc::timeout) return expire(Clock::now());
        fail(waiting_, error);
    }
    /// Those whose time is over; the first to come are the first to go.
    void expire(Clock::time_point now) noexcept {
        const auto expire_first = [&](AsyncCallList& calls) {
            while (calls.earliest() <= now) answer(*calls.pop_front(), Errc::timeout);
        };
        for (Lane& lane : lanes_) expire_first(lane.sent);
        expire_first(waiting_);
        settle_probes();
    }

    // The breaker's probe is the attempt, a dial and the exchange after it, for which the call was let through.
    Permit take_permit() noexcept { return std::exchange(permit_waiting_, Permit::normal); }
    void report(Lane& lane, Breaker::Evidence evidence) noexcept {
        breaker_.report(std::exchange(lane.permit, Permit::normal), evidence, Clock::now());
    }
    /// Where nobody is left for whom to find out.
    void settle_probes() noexcept {
        if (waiting_.empty() && take_permit() == Permit::probe)
            breaker_.report(Permit::probe, Breaker::Evidence::nothing, Clock::now());
        if (has_calls()) return;
        for (Lane& lane : lanes_) {
            const bool goes_on = lane.stage() == Stage::dialling || lane.stage() == Stage::exchanging;
            if (!goes_on && lane.permit == Permit::probe) report(lane, Breaker::Evidence::nothing);
        }
    }

    AsyncContext& context_;
    AsyncCallList& answered_;
    Breaker breaker_;
    Server server_;
    std::optional<MasterSearch> sentinels_{};
    std::deque<Lane> lanes_{};  // does not move what is in it
    AsyncCallList waiting_{};
    Permit permit_waiting_ = Permit::normal;  // of the next attempt
};

}  // namespace sluice::detail::redis

#endif
