// SPDX-License-Identifier: MIT
#ifndef SLUICE_DETAIL_WAITING_LINE_HPP
#define SLUICE_DETAIL_WAITING_LINE_HPP

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include <sluice/decision.hpp>

namespace sluice::detail::waiting {

enum class Turn : std::uint8_t {
    waiting,
    first,    // asks the store
    refused,  // cannot be served before its deadline
    full,     // too many wait for this key
    failed,   // the store did not answer
};

/// One that waits: in a line from enter() until its turn is told to be another than waiting or first, or leave().
struct Waiter {
    std::uint64_t cost = 1;
    std::chrono::nanoseconds deadline{0};
    std::atomic<Turn> turn{Turn::waiting};  // changes under the room's mutex
    Decision decision{};                    // where it was sent away: what the first was told
    std::condition_variable bell{};         // for whoever waits with the room's mutex
    void (*on_call)(Waiter&) = nullptr;     // instead of the bell, under the mutex, for one that is no thread
    /// Before which nothing is to be had, as far as is known.
    std::chrono::nanoseconds opens_at = std::chrono::nanoseconds::min();
    Waiter* before = nullptr;
    Waiter* behind = nullptr;
};

/// Who waits for units of one key in this process, in the order of arrival. Only the first asks the store, so a large cost
/// is not overtaken by small ones, and those who wait cost the store nothing.
class Line {
public:
    static constexpr std::size_t max_waiters = 2'000;

    bool is_empty() const noexcept { return first_ == nullptr; }
    bool is_full() const noexcept { return size_ >= max_waiters; }
    Waiter* first() const noexcept { return first_; }
    std::uint64_t units() const noexcept { return units_; }  // all that is waited for

    void append(Waiter& waiter) noexcept {
        waiter.before = last_;
        (last_ != nullptr ? last_->behind : first_) = &waiter;
        last_ = &waiter;
        ++size_;
        units_ += waiter.cost;
    }
    void remove(Waiter& waiter) noexcept {
        (waiter.before != nullptr ? waiter.before->behind : first_) = waiter.behind;
        (waiter.behind != nullptr ? waiter.behind->before : last_) = waiter.before;
        --size_;
        units_ -= waiter.cost;
    }

    /// Nothing is to be had before that time, as the first was told by `denial`.
    std::chrono::nanoseconds opens_at = std::chrono::nanoseconds::min();
    Decision denial{};

private:
    Waiter* first_ = nullptr;
    Waiter* last_ = nullptr;
    std::size_t size_ = 0;
    std::uint64_t units_ = 0;
};

/// The lines of the keys that have one hash. A line is made by the first that waits, and gone with the last.
class Room {
public:
    struct Key {
        std::uint64_t limiter;
        std::uint64_t scope;
        std::string key;
        /// Not <=>, which the tuples of libc++ 14 do not have.
        friend bool operator<(const Key& a, const Key& b) noexcept {
            return std::tie(a.limiter, a.scope, a.key) < std::tie(b.limiter, b.scope, b.key);
        }
    };

    static Room& of(const Key& key) {
        static auto& rooms = *new std::array<Room, 64>;  // never destroyed: static objects may still wait
        return rooms[std::hash<std::string_view>{}(key.key) % rooms.size()];
    }

    std::mutex& mutex() noexcept { return mutex_; }

    /// Puts a waiter at the end of the line, unless its turn is then told to be refused or full. Returns what those before
    /// it wait for. May throw std::bad_alloc.
    std::uint64_t enter(const Key& key, Waiter& waiter) {
        const std::lock_guard lock{mutex_};
        Line& line = lines_[key];
        const std::uint64_t ahead = line.units();
        if (line.is_full()) {
            waiter.turn = Turn::full;
        } else if (!line.is_empty() && line.opens_at > waiter.deadline) {
            waiter.turn = Turn::refused;
            waiter.decision = line.denial;
            waiter.opens_at = line.opens_at;
        } else {
            if (line.is_empty()) waiter.turn = Turn::first;
            line.append(waiter);
        }
        return ahead;
    }

    /// The next becomes the first, and had better ask at next_ask(its cost), so that nobody behind it is served before; `told`
    /// is the last answer. One that was sent away has left already; it must call this nevertheless before it is gone, so that
    /// nobody is still about to notify it.
    template <class NextAsk>
    void leave(const Key& key, Waiter& waiter, const Decision& told, NextAsk next_ask) noexcept {
        const std::lock_guard lock{mutex_};
        if (waiter.turn != Turn::first && waiter.turn != Turn::waiting) return;
        const auto found = lines_.find(key);
        Line& line = found->second;
        line.remove(waiter);
        if (line.is_empty()) {
            lines_.erase(found);
        } else if (waiter.turn == Turn::first) {
            line.opens_at = std::chrono::nanoseconds::min();
            Waiter& next = *line.first();
            next.opens_at = next_ask(next.cost);
            if (next.opens_at <= next.deadline) {  // else it asks at once
                Decision denial = told;
                denial.allowed = false;
                postpone(line, next.opens_at, denial);
            }
            call(next, Turn::first);
        }
    }

    /// The first was told that nothing is to be had before `opens_at`: whoever cannot wait so long is sent away now.
    void postpone(const Key& key, std::chrono::nanoseconds opens_at, const Decision& denial) noexcept {
        const std::lock_guard lock{mutex_};
        postpone(lines_.find(key)->second, opens_at, denial);
    }

    /// The store failed: all but the first are sent away.
    void fail(const Key& key, const Decision& failure) noexcept {
        const std::lock_guard lock{mutex_};
        send_away(lines_.find(key)->second, failure, Turn::failed, [](const Waiter&) { return true; });
    }

private:
    static void postpone(Line& line, std::chrono::nanoseconds opens_at, const Decision& denial) noexcept {
        line.opens_at = opens_at;
        line.denial = denial;
        send_away(line, denial, Turn::refused, [&](const Waiter& waiter) { return waiter.deadline < opens_at; });
    }
    template <class Which>
    static void send_away(Line& line, const Decision& decision, Turn why, Which which) noexcept {
        for (Waiter* other = line.first()->behind; other != nullptr;) {
            Waiter& waiter = *std::exchange(other, other->behind);
            if (!which(waiter)) continue;
            line.remove(waiter);
            waiter.decision = decision;
            waiter.opens_at = line.opens_at;
            call(waiter, why);
        }
    }
    /// Under the mutex, since one that knows its turn may be gone as soon as it is free.
    static void call(Waiter& waiter, Turn turn) noexcept {
        waiter.turn = turn;
        if (waiter.on_call != nullptr) return waiter.on_call(waiter);
        waiter.bell.notify_all();
    }

    std::mutex mutex_{};
    std::map<Key, Line> lines_{};
};

}  // namespace sluice::detail::waiting

#endif
