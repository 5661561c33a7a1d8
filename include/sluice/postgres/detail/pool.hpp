// SPDX-License-Identifier: MIT
#ifndef SLUICE_POSTGRES_DETAIL_POOL_HPP
#define SLUICE_POSTGRES_DETAIL_POOL_HPP

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <vector>

#include <sluice/postgres/detail/connection.hpp>
#include <sluice/postgres/detail/dialer.hpp>
#include <sluice/postgres/detail/target.hpp>
#include <sluice/remote/deadline.hpp>

namespace sluice::detail::postgres {

/// A connection, and what the pool remembers of it.
struct Lane {
    using Clock = detail::remote::Deadline::Clock;

    Connection connection{};
    Dialer::Route route{};
    Clock::time_point last_used{};
    bool could_not_dial = false;
    bool is_open = false;  ///< when it was last given back
    std::chrono::milliseconds pause{0};
    Clock::time_point rests_until{};
};

/// A few connections, each lent to one call at a time; none is open until it is needed. An open one is preferred to one that
/// would have to be dialled, and one that could not be dialled rests for a while as long as others can serve: it fails
/// so quickly that it would be free most of the time, and draw the calls. Who has to wait is served in turn.
/// Thread-safe; no lock is held during input and output.
class Pool {
public:
    Pool(const Target& target, std::size_t connections, std::size_t max_waiting)
        : dialer_(target), lanes_(connections), max_waiting_(max_waiting) {
        for (Lane& lane : lanes_) free_.push_back(&lane);
    }

    /// Called in a forked child, where no other thread runs and the mutex may be locked for ever.
    void abandon() noexcept {
        for (Lane& lane : lanes_) lane.connection.abandon();
    }

    Dialer& dialer() noexcept { return dialer_; }

    /// nullptr where none comes free in time, or too many wait.
    Lane* take(const detail::remote::Deadline& deadline) {
        std::unique_lock lock{mutex_};
        if (waiting_.empty()) {
            if (Lane* const lane = take_free()) return lane;
        }
        if (waiting_.size() >= max_waiting_) return nullptr;
        Waiter waiter;
        waiting_.push_back(&waiter);
        waiting_count_.store(waiting_.size(), std::memory_order_relaxed);
        waiter.served.wait_until(lock, deadline.at(), [&] { return waiter.lane != nullptr; });
        if (waiter.lane == nullptr) waiting_.erase(std::find(waiting_.begin(), waiting_.end(), &waiter));
        waiting_count_.store(waiting_.size(), std::memory_order_relaxed);
        return waiter.lane;
    }

    void give_back(Lane* lane) noexcept {
        const std::lock_guard lock{mutex_};
        lane->is_open = lane->connection.is_open();
        lane->pause = lane->could_not_dial ? std::clamp(lane->pause * 2, shortest_pause, longest_pause)
                                           : std::chrono::milliseconds{0};
        if (lane->could_not_dial) lane->rests_until = Lane::Clock::now() + lane->pause;
        // There is room for all from the beginning. One whose answer is still to come is used last.
        free_.insert(lane->connection.owes_answer() ? free_.begin() : free_.end(), lane);
        while (!waiting_.empty()) {
            Lane* const next = take_free();
            if (next == nullptr) return;
            waiting_.front()->lane = next;
            waiting_.front()->served.notify_one();  // with the lock held: the waiter's next step destroys the condition
            waiting_.pop_front();
        }
    }

    std::size_t open_connections() const noexcept {
        std::size_t count = 0;
        for (const Lane& lane : lanes_) count += lane.connection.is_open() ? 1U : 0U;
        return count;
    }

    std::size_t waiting() const noexcept { return waiting_count_.load(std::memory_order_relaxed); }

private:
    struct Waiter {
        std::condition_variable served{};
        Lane* lane = nullptr;
    };
    static constexpr std::chrono::milliseconds shortest_pause{50};
    static constexpr std::chrono::milliseconds longest_pause{500};

    /// The open one that was used last, else one that may be dialled.
    Lane* take_free() noexcept {
        for (auto it = free_.rbegin(); it != free_.rend(); ++it) {
            if ((*it)->is_open) return take(*it);
        }
        const auto now = Lane::Clock::now();
        for (auto it = free_.rbegin(); it != free_.rend(); ++it) {
            if ((*it)->rests_until <= now) return take(*it);
        }
        return !free_.empty() && free_.size() == lanes_.size() ? take(free_.front()) : nullptr;
    }
    Lane* take(Lane* lane) noexcept {
        free_.erase(std::find(free_.begin(), free_.end(), lane));
        lane->could_not_dial = false;
        return lane;
    }

    Dialer dialer_;
    std::deque<Lane> lanes_;
    const std::size_t max_waiting_;
    std::mutex mutex_;
    std::vector<Lane*> free_;
    std::deque<Waiter*> waiting_;
    std::atomic<std::size_t> waiting_count_{0};  // for statistics, which a forked child asks for without the mutex
};

}  // namespace sluice::detail::postgres

#endif
