// SPDX-License-Identifier: MIT
#ifndef SLUICE_POLICIES_DETAIL_WINDOW_HPP
#define SLUICE_POLICIES_DETAIL_WINDOW_HPP

#include <bit>
#include <chrono>
#include <cstdint>

#include <sluice/detail/divisor.hpp>
#include <sluice/detail/saturate.hpp>
#include <sluice/detail/skew.hpp>
#include <sluice/detail/validate.hpp>

namespace sluice::detail {

/// Windows of one length aligned to the Unix epoch, each named by its end, and the one-word form of a state that
/// belongs to one: the high bits of a time, rounded up to 2^e ns, where 2^e is the largest power of two within the
/// window; below them e - 6 bits for counts; in the lowest six bits e itself. Ends of different windows stay
/// different, and the time can be read without knowing the window's length.
class Window {
public:
    constexpr explicit Window(std::int64_t length_ns) noexcept
        : length_(static_cast<std::uint64_t>(length_ns)),
          exponent_(static_cast<int>(std::bit_width(length_.value())) - 1),
          low_bits_((std::uint64_t{1} << exponent_) - 1), high_bits_(~low_bits_),
          last_plain_(static_cast<std::uint64_t>(int64_max - length_ns)) {}

    constexpr std::int64_t length_ns() const noexcept { return static_cast<std::int64_t>(length_.value()); }
    constexpr const Divisor& length() const noexcept { return length_; }

    /// The end of the window that `now` lies in, saturated.
    constexpr std::int64_t end_after(std::int64_t now) const noexcept {
        if (static_cast<std::uint64_t>(now) <= last_plain_) [[likely]]
            return static_cast<std::int64_t>((length_.divide(static_cast<std::uint64_t>(now)) + 1) * length_.value());
        std::int64_t end = 0;
        if (!__builtin_mul_overflow(add(length_.floor(now), 1), length_ns(), &end)) return end;
        return int64_max;  // it lies after `now`, so it cannot be too small
    }

    /// Whether the window that ends at `end` is the one whose end, exact or as packed, is `state_end`.
    constexpr bool is_end(std::int64_t state_end, std::int64_t end) const noexcept {
        return state_end >= end &&  // the difference of the two ends of time wraps around
               static_cast<std::uint64_t>(state_end) - static_cast<std::uint64_t>(end) <= low_bits_;
    }

    /// Whether a state that knows `state_end` belongs to a window that begins after `now`.
    constexpr bool is_ahead(std::int64_t state_end, std::int64_t now) const noexcept {
        const std::int64_t end = end_after(now);
        return state_end > end && !is_end(state_end, end);
    }

    /// The end of the window in which a state that knows `state_end` is used at `now`: that which `now` lies in, or the
    /// state's own while it begins no further ahead than threads are held up.
    constexpr std::int64_t current_end(std::int64_t now, std::int64_t state_end) const noexcept {
        const std::int64_t end = end_after(now);
        if (state_end <= end || is_end(state_end, end)) [[likely]]
            return end;
        // A packed end was rounded up, by less than a window.
        std::int64_t own = 0;
        if (__builtin_mul_overflow(length_.floor(state_end), length_ns(), &own) || own <= end) return end;
        return is_within_skew(own - length_ns(), now) ? own : end;
    }

    /// 0 where there is no one-word form: for the shortest windows, and for those of 36 years and more, whose ends
    /// could not be rounded up from the end of this century on, since time stops in 2262.
    constexpr int count_bits() const noexcept { return exponent_ < 6 || exponent_ >= 60 ? 0 : exponent_ - 6; }

    constexpr std::uint64_t pack(std::int64_t time, std::uint64_t counts) const noexcept {
        const auto rounded = static_cast<std::uint64_t>(add(time, static_cast<std::int64_t>(low_bits_))) & high_bits_;
        return (rounded + static_cast<unsigned>(exponent_)) | counts << 6;
    }
    /// A word with so many more of the lowest count.
    static constexpr std::uint64_t counted(std::uint64_t word, std::uint64_t more) noexcept {
        return word + (more << 6);
    }
    constexpr std::int64_t time(std::uint64_t word) const noexcept {
        return static_cast<std::int64_t>(word & high_bits_);
    }
    constexpr std::uint64_t counts(std::uint64_t word) const noexcept { return (word & low_bits_) >> 6; }
    /// The time in a word of any window.
    static constexpr std::int64_t time_in(std::uint64_t word) noexcept {
        return static_cast<std::int64_t>(word >> (word & 63) << (word & 63));
    }

private:
    Divisor length_;
    int exponent_;
    std::uint64_t low_bits_;
    std::uint64_t high_bits_;   // all others
    std::uint64_t last_plain_;  // after the epoch, and its window ends in time
};

}  // namespace sluice::detail

#endif
