// SPDX-License-Identifier: MIT
#ifndef SLUICE_REMOTE_COMBINER_HPP
#define SLUICE_REMOTE_COMBINER_HPP

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <new>
#include <span>
#include <utility>

#include <sluice/error.hpp>
#include <sluice/remote/breaker.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/remote/group.hpp>
#include <sluice/remote/lanes.hpp>

namespace sluice::detail::remote {

/// A few connections ("lanes") and the calls that wait for one. While a lane is free a call takes it and goes alone.
/// Else it joins the group of those that wait; the thread that gives a lane back offers it to the first group, and
/// whichever thread comes first, one of the group that wakes or one that joins it, leads all its calls to the server
/// in one round trip (flat combining: Hendler, Incze, Shavit and Tzafrir, 2010). No lock is held during input and
/// output, and no thread works for others but along with its own call. None waits beyond its own deadline, whoever
/// leads: the group has a copy of all that it sends.
template <class Link>
class Combiner {
public:
    using Call = typename Link::Call;
    using Lane = remote::Lane<Link>;
    using Group = remote::Group<Link>;

    Combiner(typename Link::Server& server, Breaker& breaker)
        : breaker_(breaker), timeout_(server.options.timeout), max_waiting_(server.options.max_waiting),
          lanes_(server, server.options.connections) {}

    /// Called in a forked child, where no other thread runs and the mutex may be locked for ever.
    void abandon() noexcept { lanes_.abandon(); }
    std::size_t open_connections() const noexcept { return lanes_.open_connections(); }
    /// Calls that wait for a connection at the moment.
    std::size_t waiting() const noexcept { return waiting_.load(std::memory_order_relaxed); }

    /// Returns when all the calls are answered, which go to the server in one exchange. The breaker may answer instead.
    void run(std::span<Call> calls, const Deadline& deadline) noexcept {
        const auto permit = admit(calls, deadline);
        if (permit != Breaker::Permit::none) run(calls, deadline, permit);
    }

    // For a thread that has calls for several servers at once, and must not wait for one of them alone (see Scatter).

    /// Whether the breaker lets the calls pass; else they are answered. What follows reports to it.
    Breaker::Permit admit(std::span<Call> calls, const Deadline& deadline) noexcept {
        const auto permit = breaker_.ask(deadline.start(), timeout_);
        if (permit == Breaker::Permit::none) fail(calls, Errc::breaker_open);
        return permit;
    }
    void run(std::span<Call> calls, const Deadline& deadline, Breaker::Permit permit) noexcept {
        std::unique_lock lock{mutex_};
        if (Lane* const lane = groups_.empty() ? lanes_.take() : nullptr) {
            lock.unlock();
            go_alone(*lane, calls, deadline, permit);
        } else if (waiting_ >= max_waiting_) {
            lock.unlock();
            refuse(calls, Errc::busy, permit);
        } else {
            go_together(lock, calls, deadline, permit);
        }
    }

    /// A free lane, or nullptr where the calls would have to wait: then run() does that.
    Lane* try_take() noexcept {
        const std::lock_guard lock{mutex_};
        return groups_.empty() ? lanes_.take() : nullptr;
    }

    /// Readies a lane that was taken to perform the calls; followed by conclude(). False where there is no memory: then the
    /// lane is given back, and the calls are refused.
    bool load(Lane& lane, std::span<Call> calls, Breaker::Permit permit) noexcept {
        lane.alone.clear();
        try {
            for (const Call& call : calls) lane.alone.add(call);
            return true;
        } catch (const std::bad_alloc&) {
            give_back(lane, {});
            refuse(calls, Errc::no_memory, permit);
            return false;
        }
    }

    /// Gives the lane back, and the calls their answers.
    void conclude(Lane& lane, std::span<Call> calls, const Outcome& outcome, Breaker::Permit permit) noexcept {
        for (std::size_t i = 0; i != calls.size(); ++i) lane.alone.collect(i, calls[i]);
        breaker_.report(permit, outcome.evidence, Deadline::Clock::now());
        give_back(lane, outcome);
    }

private:
    enum class Ending : std::uint8_t { leads, answered, too_late };

    void go_alone(Lane& lane, std::span<Call> calls, const Deadline& deadline, Breaker::Permit permit) noexcept {
        if (load(lane, calls, permit)) conclude(lane, calls, lane.connection.perform(lane.alone, deadline), permit);
    }

    void go_together(std::unique_lock<std::mutex>& lock, std::span<Call> calls, const Deadline& deadline,
                     Breaker::Permit permit) noexcept {
        std::shared_ptr<Group> group;
        std::size_t self = 0;
        try {
            group = group_for(calls, deadline);
            self = group->add(calls, deadline, permit);
        } catch (const std::bad_alloc&) {
            lock.unlock();
            refuse(calls, Errc::no_memory, permit);
            return;
        }
        ++waiting_;
        if (group->lane == nullptr) group->lane = lanes_.take();
        switch (group->lane != nullptr ? Ending::leads : wait(lock, *group, deadline)) {
            case Ending::leads: lead(lock, group, self, deadline); break;
            case Ending::answered: break;
            case Ending::too_late:
                if (lock.owns_lock()) {
                    leave(lock, group, self);
                    refuse(calls, Errc::timeout, permit);
                } else {  // its answer may yet come, to nobody; the leader reports
                    fail(calls, Errc::timeout);
                }
                return;
        }
        group->collect(self, calls);
    }

    /// Waits without the lock; owns it afterwards unless another thread leads the group.
    static Ending wait(std::unique_lock<std::mutex>& lock, Group& group, const Deadline& deadline) noexcept {
        for (;;) {
            const auto stage = group.stage.get();
            switch (stage) {
                case Group::over:
                    if (lock.owns_lock()) lock.unlock();
                    return Ending::answered;
                case Group::led:
                    if (lock.owns_lock()) lock.unlock();
                    if (deadline.has_passed()) return Ending::too_late;
                    group.stage.wait(stage, deadline.at());
                    break;
                default:
                    if (!lock.owns_lock()) {
                        lock.lock();  // and look again
                    } else if (deadline.has_passed()) {
                        return Ending::too_late;
                    } else if (stage == Group::offered) {
                        return Ending::leads;
                    } else {
                        lock.unlock();
                        group.stage.wait(stage, deadline.at());
                    }
            }
        }
    }

    void lead(std::unique_lock<std::mutex>& lock, const std::shared_ptr<Group>& group, std::size_t self,
              const Deadline& deadline) noexcept {
        std::erase(groups_, group);
        waiting_ -= group->present;
        Lane& lane = *std::exchange(group->lane, nullptr);
        group->stage.set(Group::led);
        group->cancel_late(self);
        const auto permit = group->permit();
        lock.unlock();
        const auto outcome = lane.connection.perform(group->calls, deadline);
        breaker_.report(permit, outcome.evidence, Deadline::Clock::now());
        give_back(lane, outcome);
        group->stage.set(Group::over);
        if (group.use_count() > 1) group->stage.wake_all();
    }

    /// A thread that has waited in vain; unlocks.
    void leave(std::unique_lock<std::mutex>& lock, const std::shared_ptr<Group>& group, std::size_t self) noexcept {
        group->leave(self);
        --waiting_;
        auto woken = group->lane != nullptr ? group : nullptr;  // another thread has to take it
        if (group->present == 0) {
            std::erase(groups_, group);
            if (group->lane != nullptr) woken = offer(*std::exchange(group->lane, nullptr));
        }
        lock.unlock();
        if (woken) woken->stage.wake_one();
    }

    std::shared_ptr<Group> group_for(std::span<const Call> calls, const Deadline& deadline) {
        const auto open = std::find_if(groups_.rbegin(), groups_.rend(),
                                       [&](const auto& group) { return group->accepts(calls, deadline); });
        if (open != groups_.rend()) return *open;
        auto group = std::make_shared<Group>();
        group->reserve(32);  // what joins does so under the lock
        groups_.push_back(group);
        return group;
    }

    void give_back(Lane& lane, const Outcome& outcome) noexcept {
        std::unique_lock lock{mutex_};
        std::shared_ptr<Group> next;
        if (lanes_.returns(lane, outcome)) {
            next = offer(lane);
        } else {
            lanes_.put_back(lane);
        }
        lock.unlock();
        if (next) next->stage.wake_one();  // not under the lock, which it needs next
    }

    /// To the first group that has none; returns it, to be woken. Else the lane is free.
    std::shared_ptr<Group> offer(Lane& lane) noexcept {
        for (const auto& group : groups_) {
            if (group->lane != nullptr || group->present == 0) continue;
            group->lane = &lane;
            group->stage.set(Group::offered);
            return group;
        }
        lanes_.put_back(lane);
        return nullptr;
    }

    static void fail(std::span<Call> calls, Errc why) noexcept {
        for (Call& call : calls) call.error = why;
    }
    void refuse(std::span<Call> calls, Errc why, Breaker::Permit permit) noexcept {
        fail(calls, why);
        breaker_.report(permit, Breaker::Evidence::nothing, Deadline::Clock::now());
    }

    Breaker& breaker_;
    const std::chrono::nanoseconds timeout_;
    const std::size_t max_waiting_;
    std::mutex mutex_;
    Lanes<Link> lanes_;
    std::deque<std::shared_ptr<Group>> groups_;  // first come, first led
    std::atomic<std::size_t> waiting_{0};        // threads in groups that nobody leads yet; changed under the mutex
};

}  // namespace sluice::detail::remote

#endif
