// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_DETAIL_POOL_HPP
#define SLUICE_REDIS_DETAIL_POOL_HPP

#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <system_error>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/net/address.hpp>
#include <sluice/net/deadline.hpp>
#include <sluice/redis/detail/call.hpp>
#include <sluice/redis/detail/connection.hpp>
#include <sluice/redis/detail/round_trip.hpp>
#include <sluice/redis/detail/waker.hpp>
#include <sluice/redis/redis_stats.hpp>
#include <sluice/redis/redis_url.hpp>

namespace sluice::redis {

/// A few connections ("lanes") and the calls that wait for one. While a lane is free a call takes it and goes alone.
/// Else it waits; the thread that gives a lane back hands it to the call that has waited longest, which leads all that
/// wait by then to the server in one round trip (flat combining: Hendler, Incze, Shavit and Tzafrir, 2010). No lock is
/// held during input and output, and no thread works for others but along with its own call.
class Pool {
public:
    Pool(const RedisUrl& url, std::size_t lanes, Counters& counters) : owner_(::getpid()), book_(url.endpoint) {
        for (std::size_t i = 0; i != lanes; ++i) free_.push_back(&lanes_.emplace_back(url, book_, counters));
    }

    /// A forked child inherits the connections of its parent and must not use them.
    bool is_inherited() const noexcept { return owner_ != ::getpid(); }
    /// Called in a forked child, where no other thread runs and the mutex may be locked for ever.
    void abandon() noexcept {
        for (Lane& lane : lanes_) lane.connection.close();
    }

    /// Returns when the call is answered. The leader of a round trip gets the result of RoundTrip::run, others nothing.
    std::optional<std::error_code> run(Call& call, const net::Deadline& deadline) noexcept {
        std::unique_lock lock{mutex_};
        Lane* lane = nullptr;
        if (!free_.empty()) {
            lane = free_.back();  // the one used last
            free_.pop_back();
        } else {
            lane = wait_for_lane(lock, call, deadline);
            if (lane == nullptr) return std::nullopt;
        }
        lane->calls.clear();
        lane->calls.push_back(&call);
        // Only calls that may take as long as the leader's follow it, but for those that were a moment late to queue up.
        const auto earliest = deadline.at() - std::chrono::milliseconds{2};
        while (first_ != nullptr && first_->deadline >= earliest && lane->calls.size() != max_calls) {
            lane->calls.back()->next = first_;
            lane->calls.push_back(take_first());
        }
        lock.unlock();

        const bool check_idle = deadline.start() - lane->last_used > std::chrono::milliseconds{5};
        const std::error_code error = lane->trip.run(lane->connection, lane->calls, deadline, check_idle);
        lane->last_used = net::Deadline::Clock::now();

        lock.lock();
        Call* const leader = take_first();
        if (leader == nullptr) {
            free_.push_back(lane);
        } else {
            leader->lane = lane;
        }
        lock.unlock();
        if (leader != nullptr) tell(*leader, Call::Told::lead);
        for (Call* follower = call.next; follower != nullptr;) {
            Call* const next = follower->next;
            tell(*follower, Call::Told::done);
            follower = next;
        }
        return error;
    }

    std::size_t open_connections() const noexcept {
        std::size_t count = 0;
        for (const Lane& lane : lanes_) count += lane.connection.is_open() ? 1U : 0U;
        return count;
    }

private:
    static constexpr std::size_t max_calls = 256;

    struct Lane {
        Lane(const RedisUrl& url, net::AddressBook& book, Counters& counters) : trip(url, book, counters) {
            calls.reserve(max_calls);
        }
        Connection connection;
        RoundTrip trip;
        std::vector<Call*> calls;
        net::Deadline::Clock::time_point last_used{};
    };

    /// The lane to lead on; nullptr when another call led this one, or no lane came free in time. Unlocks meanwhile.
    Lane* wait_for_lane(std::unique_lock<std::mutex>& lock, Call& call, const net::Deadline& deadline) noexcept {
        try {
            call.waker = Waker::own(owner_);
        } catch (const std::bad_alloc&) {
            call.fail(Errc::no_memory);
            return nullptr;
        }
        call.deadline = deadline.at();
        append(call);
        lock.unlock();
        const bool in_time = call.waker->wait_until(call.told, Call::Told::nothing, deadline.at());
        if (in_time && call.told == Call::Told::done) return nullptr;
        lock.lock();
        if (!in_time && call.is_waiting) {
            remove(call);
            call.fail(Errc::timeout);
            return nullptr;
        }
        if (!in_time) {  // on its way, and soon over
            lock.unlock();
            call.waker->wait(call.told, Call::Told::nothing);
            lock.lock();
        }
        return call.told == Call::Told::lead ? static_cast<Lane*>(call.lane) : nullptr;
    }

    /// The call is over for its thread as soon as it is told, and may be gone.
    static void tell(Call& call, Call::Told what) noexcept {
        const std::shared_ptr<Waker> waker = call.waker;
        waker->tell(call.told, what);
    }

    // The waiting calls, a list through the calls themselves: no allocation, and a call leaves from anywhere.

    Call* take_first() noexcept {
        Call* const call = first_;
        if (call != nullptr) remove(*call);
        return call;
    }
    void append(Call& call) noexcept {
        call.is_waiting = true;
        call.previous = last_;
        (last_ != nullptr ? last_->next : first_) = &call;
        last_ = &call;
    }
    void remove(Call& call) noexcept {
        call.is_waiting = false;
        (call.previous != nullptr ? call.previous->next : first_) = call.next;
        (call.next != nullptr ? call.next->previous : last_) = call.previous;
        call.next = call.previous = nullptr;
    }

    const pid_t owner_;
    net::AddressBook book_;
    std::deque<Lane> lanes_;  // does not move what is in it
    std::mutex mutex_;
    std::vector<Lane*> free_;  // room for all lanes from the beginning
    Call* first_ = nullptr;
    Call* last_ = nullptr;
};

}  // namespace sluice::redis

#endif
