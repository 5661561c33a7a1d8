// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_DETAIL_POOL_HPP
#define SLUICE_REDIS_DETAIL_POOL_HPP

#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <system_error>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/net/address.hpp>
#include <sluice/net/deadline.hpp>
#include <sluice/redis/detail/call.hpp>
#include <sluice/redis/detail/connection.hpp>
#include <sluice/redis/detail/round_trip.hpp>
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
        while (first_ != nullptr && lane->calls.size() != max_calls) {
            first_->phase = Call::Phase::followed;
            lane->calls.push_back(first_);
            remove(*first_);
        }
        lock.unlock();

        // The leader has waited longest, so that its deadline is the earliest of all.
        const bool check_idle = deadline.start() - lane->last_used > std::chrono::milliseconds{5};
        const std::error_code error = lane->trip.run(lane->connection, lane->calls, deadline, check_idle);
        lane->last_used = net::Deadline::Clock::now();

        lock.lock();
        for (std::size_t i = 1; i != lane->calls.size(); ++i) {
            Call& follower = *lane->calls[i];
            follower.phase = Call::Phase::done;
            follower.wake.notify_one();  // under the lock, since the follower ends with its call
        }
        if (first_ == nullptr) {
            free_.push_back(lane);
        } else {
            first_->phase = Call::Phase::leading;
            first_->lane = lane;
            first_->wake.notify_one();
            remove(*first_);
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

    /// The lane to lead on; nullptr when another call led this one, or no lane came free in time.
    Lane* wait_for_lane(std::unique_lock<std::mutex>& lock, Call& call, const net::Deadline& deadline) noexcept {
        append(call);
        for (;;) {
            switch (call.phase) {
                case Call::Phase::leading: return static_cast<Lane*>(call.lane);
                case Call::Phase::done: return nullptr;
                case Call::Phase::followed: call.wake.wait(lock); break;  // for no longer than our deadline
                case Call::Phase::waiting:
                    if (call.wake.wait_until(lock, deadline.at()) == std::cv_status::no_timeout) break;
                    if (call.phase != Call::Phase::waiting) break;
                    remove(call);
                    call.fail(Errc::timeout);
                    return nullptr;
            }
        }
    }

    // The waiting calls, a list through the calls themselves: no allocation, and a call leaves from anywhere.

    void append(Call& call) noexcept {
        call.previous = last_;
        (last_ != nullptr ? last_->next : first_) = &call;
        last_ = &call;
    }
    void remove(Call& call) noexcept {
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
