// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_COMBINER_HPP
#define SLUICE_REDIS_LINK_COMBINER_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/remote/address.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/remote/fork_check.hpp>
#include <sluice/remote/wake_word.hpp>
#include <sluice/redis/wire/call.hpp>
#include <sluice/redis/link/connection.hpp>
#include <sluice/redis/wire/exchange.hpp>
#include <sluice/redis/redis_stats.hpp>
#include <sluice/redis/redis_url.hpp>

namespace sluice::redis {

/// A few connections ("lanes") and the calls that wait for one. While a lane is free a call takes it and goes alone.
/// Else it joins the group of those that wait; the thread that gives a lane back offers it to the first group, and
/// whichever thread comes first, one of the group that wakes or one that joins it, leads all its calls to the server
/// in one round trip (flat combining: Hendler, Incze, Shavit and Tzafrir, 2010). No lock is held during input and
/// output, and no thread works for others but along with its own call.
class Pool {
public:
    Pool(const RedisUrl& url, std::size_t lanes, Counters& counters)
        : owner_(detail::remote::ForkCheck::get()), book_(url.endpoint) {
        for (std::size_t i = 0; i != lanes; ++i) free_.push_back(&lanes_.emplace_back(url, book_, counters));
    }

    /// A forked child inherits the connections of its parent and must not use them.
    bool is_inherited() const noexcept { return owner_ != detail::remote::ForkCheck::get(); }
    /// Called in a forked child, where no other thread runs and the mutex may be locked for ever.
    void abandon() noexcept {
        for (Lane& lane : lanes_) lane.connection.close();
    }

    /// Returns when the call is answered. The leader of a round trip gets the result of RoundTrip::run, others nothing.
    std::optional<std::error_code> run(Call& call, const detail::remote::Deadline& deadline) noexcept {
        call.deadline = deadline.at();
        Call* const alone[] = {&call};
        std::span<Call* const> calls = alone;
        auto until = deadline;
        std::shared_ptr<Group> group;
        std::unique_lock lock{mutex_};
        Lane* lane = nullptr;
        if (groups_.empty()) lane = take_free();
        if (lane == nullptr) {
            try {
                group = join(call, deadline);
            } catch (const std::bad_alloc&) {
                call.fail(Errc::no_memory);
                return std::nullopt;
            }
            if (group->lane == nullptr) group->lane = take_free();
            lane = group->lane != nullptr ? lead(group, call) : wait(lock, group, call);
            if (lane == nullptr) return std::nullopt;
            calls = group->calls;
            until = deadline.or_sooner(group->deadline);
        }
        lock.unlock();

        const bool check_idle = deadline.start() - lane->last_used > std::chrono::milliseconds{5};
        const std::error_code error = lane->trip.run(lane->connection, calls, until, check_idle);
        lane->last_used = deadline.start();  // or later: a look too many at a connection does no harm

        lock.lock();
        const auto next = offer(lane);
        lock.unlock();
        // Nobody is woken while a lock is held that he needs next.
        if (next) next->stage.wake_one();
        if (group) {
            group->stage.set(Group::over);
            if (group.use_count() > 1) group->stage.wake_all();
        }
        return error;
    }

    std::size_t open_connections() const noexcept {
        std::size_t count = 0;
        for (const Lane& lane : lanes_) count += lane.connection.is_open() ? 1U : 0U;
        return count;
    }

private:
    using Clock = detail::remote::Deadline::Clock;
    static constexpr std::size_t max_calls = 256;

    struct Lane {
        Lane(const RedisUrl& url, detail::remote::AddressBook& book, Counters& counters) : trip(url, book, counters) {}
        Connection connection;
        RoundTrip trip;
        Clock::time_point last_used{};
    };

    /// Calls that wait for a lane together. Changed under the pool's mutex only, but what the calls lead to is the
    /// leader's while the group is led, and each thread's own once the leader has set the stage to `over`.
    struct Group {
        enum Stage : std::uint32_t { waiting, offered, led, over };
        detail::remote::WakeWord stage{};
        std::vector<Call*> calls{};
        Clock::time_point deadline = Clock::time_point::max();  // the earliest of them
        Lane* lane = nullptr;                                   // while it is offered
    };

    /// The one used last, or nullptr.
    Lane* take_free() noexcept {
        if (free_.empty()) return nullptr;
        Lane* const lane = free_.back();
        free_.pop_back();
        return lane;
    }

    /// A call joins the last group, unless one of the two would have to hurry for the other: they share a deadline.
    std::shared_ptr<Group> join(Call& call, const detail::remote::Deadline& deadline) {
        if (groups_.empty() || groups_.back()->calls.size() == max_calls ||
            call.deadline < groups_.back()->deadline - std::chrono::milliseconds{2} ||
            groups_.back()->deadline < deadline.start() + (deadline.at() - deadline.start()) / 2) {
            auto group = std::make_shared<Group>();
            group->calls.reserve(max_calls);
            groups_.push_back(std::move(group));
        }
        const auto& group = groups_.back();
        group->calls.push_back(&call);
        group->deadline = std::min(group->deadline, call.deadline);
        return group;
    }

    Lane* lead(const std::shared_ptr<Group>& group, const Call& own) noexcept {
        std::erase(groups_, group);
        group->stage.set(Group::led);
        const auto now = Clock::now();
        if (group->deadline <= now) {  // calls whose threads have not woken to see it
            std::erase_if(group->calls, [&](Call* call) {
                const bool is_late = call != &own && call->deadline <= now;
                if (is_late) call->fail(Errc::timeout);
                return is_late;
            });
            find_deadline(*group);
        }
        return std::exchange(group->lane, nullptr);
    }
    /// Whether the group was led without the call, which lead() has answered.
    static bool was_late(std::unique_lock<std::mutex>& lock, const Group& group, const Call& call) noexcept {
        if (!lock.owns_lock()) lock.lock();
        return std::find(group.calls.begin(), group.calls.end(), &call) == group.calls.end();
    }
    static void find_deadline(Group& group) noexcept {
        const auto sooner = [](const Call* a, const Call* b) { return a->deadline < b->deadline; };
        group.deadline = (*std::min_element(group.calls.begin(), group.calls.end(), sooner))->deadline;
    }

    /// The lane to lead the group on; nullptr when another thread led it, or no lane came free in time. Unlocks meanwhile.
    Lane* wait(std::unique_lock<std::mutex>& lock, const std::shared_ptr<Group>& group, Call& call) noexcept {
        for (auto stage = group->stage.get(); stage != Group::over; stage = group->stage.get()) {
            if (stage == Group::led) {  // over soon
                if (Clock::now() >= call.deadline && was_late(lock, *group, call)) return nullptr;
                if (lock.owns_lock()) lock.unlock();
                group->stage.wait(stage);
            } else if (!lock.owns_lock()) {
                lock.lock();
            } else if (Clock::now() >= call.deadline) {
                call.fail(Errc::timeout);
                leave(lock, group, call);
                return nullptr;
            } else if (stage == Group::offered) {
                return lead(group, call);
            } else {
                lock.unlock();
                group->stage.wait(stage, call.deadline);
            }
        }
        return nullptr;
    }

    void leave(std::unique_lock<std::mutex>& lock, const std::shared_ptr<Group>& group, Call& call) noexcept {
        std::erase(group->calls, &call);
        auto woken = group;
        if (group->calls.empty()) {
            std::erase(groups_, group);
            woken = group->lane != nullptr ? offer(group->lane) : nullptr;
        } else {
            find_deadline(*group);
            if (group->lane == nullptr) woken = nullptr;  // else another thread has to take it
        }
        lock.unlock();
        if (woken) woken->stage.wake_one();
    }

    /// To the first group that has none; returns it, to be woken. Else the lane is free.
    std::shared_ptr<Group> offer(Lane* lane) noexcept {
        for (const auto& group : groups_) {
            if (group->lane != nullptr) continue;
            group->lane = lane;
            group->stage.set(Group::offered);
            return group;
        }
        free_.push_back(lane);
        return nullptr;
    }

    const pid_t owner_;
    detail::remote::AddressBook book_;
    std::deque<Lane> lanes_;  // does not move what is in it
    std::mutex mutex_;
    std::vector<Lane*> free_;                    // room for all lanes from the beginning
    std::deque<std::shared_ptr<Group>> groups_;  // first come, first led
};

}  // namespace sluice::redis

#endif
