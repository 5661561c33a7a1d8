// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_PROPERTY_MODELS_HPP
#define SLUICE_TESTS_PROPERTY_MODELS_HPP

#include <algorithm>
#include <cstdint>
#include <deque>
#include <limits>

#include <sluice/detail/int128.hpp>

// What each policy should answer, written from its definition as plainly as possible: exact fractions in 128 bits, no
// ticks, no compact state, nothing of the library's decisions. Slow, and only for a clock that does not go back.
namespace model {

// The compiler's own where it has one; else the library's, which tests/unit/detail/wide_test.cpp compares with that.
using wide = sluice::detail::int128;

inline constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();

struct Answer {
    bool allowed = false;
    std::uint64_t limit = 0;
    std::uint64_t remaining = 0;
    std::int64_t retry_after = 0;
    std::int64_t reset_after = 0;
    std::int64_t delay = 0;
};

inline wide ceil_div(wide a, wide b) { return (a + b - 1) / b; }
inline std::int64_t wait(wide ns) { return static_cast<std::int64_t>(std::min<wide>(ns, never - 1)); }

/// A bucket of `capacity` units that refills `count` units in `period` ns. Levels are in units of 1 / period, so that
/// they stay whole numbers: one unit is `period`, and `count` are added in each nanosecond.
class Bucket {
public:
    Bucket(std::uint64_t capacity, std::uint64_t count, std::int64_t period, std::uint64_t burst = 1)
        : capacity_(capacity), full_(wide{capacity} * period), count_(count), period_(period), level_(full_),
          undelayed_(wide{burst - 1} * period) {}

    Answer consume(std::int64_t now, std::uint64_t cost) {
        const Answer answer = peek(now, cost);
        if (answer.allowed) take(cost);
        return answer.allowed ? with_state(answer) : answer;
    }

    /// `remaining` and `reset_after` are those of the unchanged bucket.
    Answer peek(std::int64_t now, std::uint64_t cost) {
        refill(now);
        const wide needed = wide{cost} * period_;
        Answer answer;
        answer.allowed = needed <= level_;
        if (!answer.allowed) answer.retry_after = needed > full_ ? never : wait(ceil_div(needed - level_, count_));
        // Of what came before, for those who are let in.
        answer.delay = wait(ceil_div(std::max<wide>(0, full_ - level_ - undelayed_), count_));
        return with_state(answer);
    }

    void refund(std::int64_t now, std::uint64_t units) {
        refill(now);
        level_ = std::min(full_, level_ + wide{units} * period_);
    }
    void give_back(std::int64_t now, std::int64_t, std::uint64_t units) { refund(now, units); }

    /// Takes the units, also where not quite enough are there.
    void take(std::uint64_t cost) { level_ -= wide{cost} * period_; }

    /// By how many nanoseconds of refill the level is above (or, negative, below) what `cost` needs, rounded down.
    wide margin_ns(std::uint64_t cost) const {
        const wide surplus = level_ - wide{cost} * period_;
        return surplus >= 0 ? surplus / count_ : -ceil_div(-surplus, count_);
    }

    /// Whether one unit takes a whole number of nanoseconds; only then can a clock that counts them be exact.
    bool whole() const { return period_ % static_cast<std::int64_t>(count_) == 0; }

private:
    void refill(std::int64_t now) {
        if (started_) level_ = std::min(full_, level_ + (wide{now} - last_) * count_);
        started_ = true;
        last_ = now;
    }

    Answer with_state(Answer answer) const {
        answer.limit = capacity_;
        answer.remaining = level_ <= 0 ? 0 : static_cast<std::uint64_t>(level_ / period_);
        answer.reset_after = wait(ceil_div(full_ - level_, count_));
        return answer;
    }

    std::uint64_t capacity_;
    wide full_;
    wide count_;
    wide period_;
    wide level_;
    wide undelayed_;
    std::int64_t last_ = 0;
    bool started_ = false;
};

inline std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

/// `limit` units in each window, windows aligned to the epoch.
class Fixed {
public:
    Fixed(std::uint64_t limit, std::int64_t window) : limit_(limit), window_(window) {}

    Answer consume(std::int64_t now, std::uint64_t cost) {
        const Answer answer = peek(now, cost);
        if (!answer.allowed) return answer;
        used_ += cost;
        return with_state(answer, now);
    }

    Answer peek(std::int64_t now, std::uint64_t cost) {
        roll(now);
        Answer answer;
        answer.allowed = wide{used_} + cost <= limit_;
        if (!answer.allowed) answer.retry_after = cost > limit_ ? never : left(now);
        return with_state(answer, now);
    }

    void refund(std::int64_t now, std::uint64_t units) {
        roll(now);
        used_ -= std::min(used_, units);
    }
    void give_back(std::int64_t now, std::int64_t consumed_at, std::uint64_t units) {
        if (floor_div(consumed_at, window_) == floor_div(now, window_)) refund(now, units);
    }

private:
    void roll(std::int64_t now) {
        const auto index = floor_div(now, window_);
        if (index != index_) used_ = 0;
        index_ = index;
    }
    std::int64_t left(std::int64_t now) const { return wait((wide{index_} + 1) * window_ - now); }

    Answer with_state(Answer answer, std::int64_t now) const {
        answer.limit = limit_;
        answer.remaining = limit_ - used_;
        answer.reset_after = used_ == 0 ? 0 : left(now);
        return answer;
    }

    std::uint64_t limit_;
    std::int64_t window_;
    std::int64_t index_ = 0;
    std::uint64_t used_ = 0;
};

/// `limit` units in (now - window, now], whenever now is: the time of every admitted unit is kept.
class Log {
public:
    Log(std::uint64_t limit, std::int64_t window) : limit_(limit), window_(window) {}

    Answer consume(std::int64_t now, std::uint64_t cost) {
        const Answer answer = peek(now, cost);
        if (!answer.allowed) return answer;
        for (std::uint64_t i = 0; i < cost; ++i) times_.push_back(now);
        return with_state(answer, now);
    }

    Answer peek(std::int64_t now, std::uint64_t cost) {
        while (!times_.empty() && times_.front() <= wide{now} - window_) times_.pop_front();
        Answer answer;
        answer.allowed = times_.size() + wide{cost} <= limit_;
        if (cost > limit_) {
            answer.retry_after = never;
        } else if (!answer.allowed) {
            // The entry that has to leave before the cost fits.
            const auto leaving = times_[static_cast<std::size_t>(times_.size() + cost - limit_ - 1)];
            answer.retry_after = wait(wide{leaving} + window_ - now);
        }
        return with_state(answer, now);
    }

    void refund(std::int64_t now, std::uint64_t units) {
        peek(now, 0);
        for (; units > 0 && !times_.empty(); --units) times_.pop_back();
    }
    void give_back(std::int64_t now, std::int64_t consumed_at, std::uint64_t units) {
        peek(now, 0);
        for (; units > 0; --units) {
            const auto found = std::find(times_.begin(), times_.end(), consumed_at);
            if (found == times_.end()) return;
            times_.erase(found);
        }
    }

private:
    Answer with_state(Answer answer, std::int64_t now) const {
        answer.limit = limit_;
        answer.remaining = limit_ - times_.size();
        answer.reset_after = times_.empty() ? 0 : wait(wide{times_.back()} + window_ - now);
        return answer;
    }

    std::uint64_t limit_;
    std::int64_t window_;
    std::deque<std::int64_t> times_;
};

/// The count of the current window and, in proportion to how much of it is still in sight, that of the previous one.
class Counter {
public:
    Counter(std::uint64_t limit, std::int64_t window) : limit_(limit), window_(window) {}

    Answer consume(std::int64_t now, std::uint64_t cost) {
        const Answer answer = peek(now, cost);
        if (!answer.allowed) return answer;
        current_ += cost;
        return with_state(answer, now);
    }

    Answer peek(std::int64_t now, std::uint64_t cost) {
        roll(now);
        Answer answer;
        answer.allowed = fits(now, cost);
        if (cost > limit_) {
            answer.retry_after = never;
        } else if (!answer.allowed) {
            // The estimate only falls while nothing is admitted, and two windows on it is 0.
            wide denied = 0;
            wide allowed = wide{2} * window_;
            while (allowed - denied > 1) {
                const wide middle = (allowed + denied) / 2;
                (fits(wide{now} + middle, cost) ? allowed : denied) = middle;
            }
            answer.retry_after = wait(allowed);
        }
        return with_state(answer, now);
    }

    void refund(std::int64_t now, std::uint64_t units) {
        roll(now);
        const auto from_current = std::min(current_, units);
        current_ -= from_current;
        previous_ -= std::min(previous_, units - from_current);
    }
    void give_back(std::int64_t now, std::int64_t consumed_at, std::uint64_t units) {
        roll(now);
        const auto index = floor_div(consumed_at, window_);
        if (index == index_) current_ -= std::min(current_, units);
        if (index == index_ - 1) previous_ -= std::min(previous_, units);
    }

private:
    void roll(std::int64_t now) {
        const auto index = floor_div(now, window_);
        if (index == index_ + 1) {
            previous_ = current_;
            current_ = 0;
        } else if (index != index_) {
            previous_ = current_ = 0;
        }
        index_ = index;
    }

    /// The units counted at a time not before this window, times the window's length.
    wide estimate(wide time) const {
        wide start = wide{index_} * window_;
        wide previous = previous_;
        wide current = current_;
        for (; time - start >= window_ && (previous > 0 || current > 0); start += window_) {
            previous = current;
            current = 0;
        }
        if (time - start >= window_) return 0;
        return previous * (window_ - (time - start)) + current * window_;
    }

    bool fits(wide time, std::uint64_t cost) const {
        return estimate(time) + wide{cost} * window_ <= wide{limit_} * window_;
    }

    Answer with_state(Answer answer, std::int64_t now) const {
        const wide free = wide{limit_} * window_ - estimate(now);
        answer.limit = limit_;
        answer.remaining = free <= 0 ? 0 : static_cast<std::uint64_t>(free / window_);
        const wide windows = current_ > 0 ? 2 : previous_ > 0 ? 1 : 0;
        answer.reset_after = windows == 0 ? 0 : wait((wide{index_} + windows) * window_ - now);
        return answer;
    }

    std::uint64_t limit_;
    std::int64_t window_;
    std::int64_t index_ = 0;
    std::uint64_t previous_ = 0;
    std::uint64_t current_ = 0;
};

/// Two limits at once: both or none.
template <class First, class Second>
class Both {
public:
    Both(First first, Second second) : first_(first), second_(second) {}

    Answer consume(std::int64_t now, std::uint64_t cost) {
        const Answer answer = peek(now, cost);
        return answer.allowed ? combine(first_.consume(now, cost), second_.consume(now, cost)) : answer;
    }

    Answer peek(std::int64_t now, std::uint64_t cost) {
        return combine(first_.peek(now, cost), second_.peek(now, cost));
    }

    void refund(std::int64_t now, std::uint64_t units) {
        first_.refund(now, units);
        second_.refund(now, units);
    }
    void give_back(std::int64_t now, std::int64_t consumed_at, std::uint64_t units) {
        first_.give_back(now, consumed_at, units);
        second_.give_back(now, consumed_at, units);
    }

private:
    static Answer combine(const Answer& a, const Answer& b) {
        Answer both;
        both.allowed = a.allowed && b.allowed;
        const bool second_binds = both.allowed ? b.remaining < a.remaining : b.retry_after > a.retry_after;
        both.limit = second_binds ? b.limit : a.limit;
        both.remaining = std::min(a.remaining, b.remaining);
        both.retry_after = std::max(a.retry_after, b.retry_after);
        both.reset_after = std::max(a.reset_after, b.reset_after);
        both.delay = std::max(a.delay, b.delay);
        return both;
    }

    First first_;
    Second second_;
};

}  // namespace model

#endif
