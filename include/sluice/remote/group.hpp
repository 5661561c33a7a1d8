// SPDX-License-Identifier: MIT
#ifndef SLUICE_REMOTE_GROUP_HPP
#define SLUICE_REMOTE_GROUP_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/remote/breaker.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/remote/lanes.hpp>
#include <sluice/remote/wake_word.hpp>

namespace sluice::detail::remote {

/// Threads that wait for a lane together, and their calls. Changed under the combiner's mutex until it is led; then the
/// calls are the leader's, until it has set the stage to `over`.
template <class Link>
struct Group {
    using Call = typename Link::Call;
    using CallSet = typename Link::CallSet;
    using Permit = Breaker::Permit;
    using Clock = Deadline::Clock;

    enum Stage : std::uint32_t { waiting, offered, led, over };
    struct Member {
        typename CallSet::Ticket first = 0;
        std::size_t count = 0;
        Clock::time_point deadline{};
        Permit permit = Permit::normal;
        bool has_left = false;
    };

    WakeWord stage{};
    CallSet calls{};
    std::vector<Member> members{};
    std::size_t present = 0;
    Clock::time_point deadline = Clock::time_point::max();  ///< the earliest of all members'
    Lane<Link>* lane = nullptr;                             ///< while it is offered

    static constexpr std::size_t max_members = 256;

    void reserve(std::size_t count) {
        members.reserve(count);
        calls.reserve(count);
    }

    /// Not if the calls had better go apart, nor if their deadlines lie too far apart: all get what the leader's allows.
    bool accepts(std::span<const Call> more, const Deadline& other) const noexcept {
        return members.size() < max_members && calls.accepts(more) &&
               other.at() >= deadline - std::chrono::milliseconds{2} && deadline >= other.start() + other.budget() / 2;
    }

    /// The new member's number. May throw std::bad_alloc, and then nobody was added.
    std::size_t add(std::span<const Call> more, const Deadline& until, Permit permit) {
        members.push_back({calls.size(), 0, until.at(), permit});
        Member& member = members.back();
        try {
            for (const Call& call : more) {
                calls.add(call);
                ++member.count;
            }
        } catch (...) {
            cancel(member);
            member.has_left = true;
            throw;
        }
        deadline = std::min(deadline, until.at());
        ++present;
        return members.size() - 1;
    }

    void leave(std::size_t number) noexcept {
        cancel(members[number]);
        members[number].has_left = true;
        --present;
        deadline = Clock::time_point::max();
        for (const Member& member : members) {
            if (!member.has_left) deadline = std::min(deadline, member.deadline);
        }
    }

    /// Those whose deadline has passed, though their threads have not woken to see it.
    void cancel_late(std::size_t own) noexcept {
        const auto now = Clock::now();
        if (deadline > now) return;
        for (std::size_t i = 0; i != members.size(); ++i) {
            if (i != own && !members[i].has_left && members[i].deadline <= now) cancel(members[i]);
        }
    }

    /// If a member is the breaker's probe, all of them are.
    Permit permit() const noexcept {
        const bool has_probe = std::any_of(members.begin(), members.end(), [](const Member& member) {
            return !member.has_left && member.permit == Permit::probe;
        });
        return has_probe ? Permit::probe : Permit::normal;
    }

    void collect(std::size_t number, std::span<Call> asked) noexcept {
        for (std::size_t i = 0; i != asked.size(); ++i) calls.collect(members[number].first + i, asked[i]);
    }

private:
    void cancel(const Member& member) noexcept {
        for (std::size_t i = 0; i != member.count; ++i) calls.cancel(member.first + i, Errc::timeout);
    }
};

}  // namespace sluice::detail::remote

#endif
