// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_ASYNC_NODE_HPP
#define SLUICE_REDIS_LINK_ASYNC_NODE_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
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
/// goes together in the next one. Calls are answered by their deadlines, in whichever state they are.
class AsyncNode {
public:
    using Deadline = detail::remote::Deadline;
    using Clock = Deadline::Clock;
    using Breaker = detail::remote::Breaker;

    AsyncNode(const RedisUrl& url, const detail::remote::Endpoint& endpoint, AsyncContext& context)
        : context_(context), server_{url, context.options, context.counters, endpoint},
          connection_(server_, context.wakeup) {}

    /// Does no input or output yet.
    void ask(AsyncCall& call, Breaker::Permit permit) noexcept {
        if (permit == Breaker::Permit::probe) permit_waiting_ = permit;
        if (waiting_.size() < context_.options.max_waiting) return waiting_.push_back(call);
        context_.answer(call, Errc::busy);
        settle_probe();
    }

    bool has_calls() const noexcept { return !waiting_.empty() || !sent_.empty(); }
    bool is_open() const noexcept { return connection_.is_open(); }

    /// Appends what waits for descriptors. What goes on for nobody (calls that were cancelled) is left until somebody asks.
    void watch(std::vector<Watch>& watches) const {
        if (!has_calls()) return;
        if (const auto watch = connection_.watch()) watches.push_back(*watch);
    }
    bool has_descriptor(std::uint64_t id) const noexcept { return connection_.has_descriptor(id); }
    /// When process() is due; Clock::time_point::min() for at once.
    Clock::time_point due() const noexcept {
        if (!has_calls()) return Clock::time_point::max();
        const auto stage = connection_.stage();
        const bool is_free = stage == AsyncConnection::Stage::idle || stage == AsyncConnection::Stage::closed;
        if (!waiting_.empty() && is_free) return Clock::time_point::min();
        auto due = connection_.due();
        if (!waiting_.empty()) due = std::min(due, waiting_.front().deadline);
        if (!sent_.empty()) due = std::min(due, sent_.front().deadline);
        return due;
    }

    /// Something happened on `fd`, or nothing (-1): time has passed, or there are calls.
    void process(int fd) noexcept {
        try {
            if (const auto watch = connection_.watch(); fd >= 0 && watch && watch->fd == fd) connection_.on_ready();
            conclude();
            connection_.on_time(Clock::now());
            conclude();
            expire(Clock::now());
            start();
        } catch (const std::bad_alloc&) {
            fail_all(Errc::no_memory);
            connection_.close();
        }
    }

    /// Sends what waits, if the connection is free, or dials it.
    void start() {
        while (!waiting_.empty()) {
            if (connection_.is_usable()) {
                send();
            } else if (connection_.stage() == AsyncConnection::Stage::closed) {
                take_permit();
                connection_.dial(Deadline{context_.options.timeout});
            } else {
                return;
            }
            conclude();
        }
    }

    /// Answers all calls, without a word to the server.
    void fail_all(Errc why) noexcept {
        const auto fail = [&](AsyncCallList& calls) {
            while (!calls.empty()) context_.answer(*calls.pop_front(), why);
        };
        fail(sent_);
        fail(waiting_);
        settle_probe();
    }

private:
    using Permit = Breaker::Permit;
    static constexpr std::size_t max_decisions =
        512;  // of one exchange: as many as a loop serves in a millisecond or two

    void send() {
        CallSet& calls = connection_.calls();
        calls.clear();
        const auto now = Clock::now();
        bool any_late = false;
        while (!waiting_.empty() && calls.decisions() < max_decisions) {
            AsyncCall& call = *waiting_.pop_front();
            if (call.is_abandoned()) {
                context_.answer(call, Errc::cancelled);
            } else if (call.deadline - now <= connection_.round_trip()) {
                any_late = true;
                context_.answer(call, Errc::timeout);
            } else if (const auto error = encode(call, calls)) {
                context_.answer(call, error);
            } else {
                sent_.push_back(call);
            }
        }
        if (any_late) connection_.note_late();
        if (sent_.empty()) return settle_probe();
        take_permit();
        const auto timeout = context_.options.timeout;
        connection_.begin(Deadline{sent_.back().deadline - timeout, timeout});
    }
    std::error_code encode(AsyncCall& call, CallSet& calls) noexcept {
        try {
            return call.encode(context_.scratch, calls);
        } catch (const std::bad_alloc&) {
            return Errc::no_memory;
        }
    }

    /// Looks whether a dial or an exchange has ended, and what follows.
    void conclude() {
        while (const auto ending = connection_.take_ending()) {
            if (ending->is_unsent) {
                waiting_.prepend(sent_);
                connection_.dial(Deadline{context_.options.timeout});
            } else if (ending->was_dial) {
                if (ending->error) {
                    report(ending->outcome.evidence);
                    fail_waiting(ending->error);
                }
            } else {
                report(ending->outcome.evidence);
                while (!sent_.empty()) {
                    AsyncCall& call = *sent_.pop_front();
                    call.decode(connection_.calls());
                    context_.answered(call);
                }
            }
            if (!has_calls()) settle_probe();
        }
    }

    /// After a dial. Who came late may still have the time for another.
    void fail_waiting(std::error_code error) noexcept {
        if (error == Errc::timeout) return expire(Clock::now());
        while (!waiting_.empty()) context_.answer(*waiting_.pop_front(), error);
    }
    /// Those whose time is over; the first to come are the first to go.
    void expire(Clock::time_point now) noexcept {
        for (AsyncCallList* const calls : {&sent_, &waiting_}) {
            while (!calls->empty() && calls->front().deadline <= now)
                context_.answer(*calls->pop_front(), Errc::timeout);
        }
        if (waiting_.empty()) settle_waiting_probe();
    }

    // The breaker's probe is the attempt, a dial and the exchange after it, for which the call was let through.
    void take_permit() noexcept {
        if (permit_waiting_ == Permit::probe) permit_ = std::exchange(permit_waiting_, Permit::normal);
    }
    void report(Breaker::Evidence evidence) noexcept {
        context_.breaker.report(std::exchange(permit_, Permit::normal), evidence, Clock::now());
    }
    void settle_waiting_probe() noexcept {
        if (std::exchange(permit_waiting_, Permit::normal) == Permit::probe)
            context_.breaker.report(Permit::probe, Breaker::Evidence::nothing, Clock::now());
    }
    /// Nobody is left for whom to find out.
    void settle_probe() noexcept {
        if (has_calls()) return;
        settle_waiting_probe();
        if (connection_.is_dialling() || connection_.stage() == AsyncConnection::Stage::exchanging) return;
        if (permit_ == Permit::probe) report(Breaker::Evidence::nothing);
    }

    AsyncContext& context_;
    Server server_;
    AsyncConnection connection_;
    AsyncCallList waiting_;
    AsyncCallList sent_;
    Permit permit_ = Permit::normal;          // of the attempt that is under way
    Permit permit_waiting_ = Permit::normal;  // of the next one
};

}  // namespace sluice::detail::redis

#endif
