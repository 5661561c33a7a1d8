// SPDX-License-Identifier: MIT
#ifndef SLUICE_POLICIES_DETAIL_TIME_LOG_HPP
#define SLUICE_POLICIES_DETAIL_TIME_LOG_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>

namespace sluice::detail {

/// Times in ascending order, 8 bytes each, in a ring that is allocated as it fills: added at the new end, dropped at
/// either. Capacity grows by an eighth, up to the bound that the caller gives, and is given
/// back when nearly all of it is unused.
class TimeLog {
public:
    std::size_t size() const noexcept { return size_; }
    std::size_t capacity() const noexcept { return capacity_; }

    std::int64_t operator[](std::size_t index) const noexcept { return times_[slot(index)]; }  // 0 is the oldest
    std::int64_t newest() const noexcept { return (*this)[size_ - 1]; }

    /// How many of the oldest times are before `time`.
    std::size_t count_before(std::int64_t time) const noexcept {
        std::size_t first = 0;
        for (std::size_t length = size_; length != 0;) {
            const std::size_t half = length / 2;
            if ((*this)[first + half] < time) {
                first += half + 1;
                length -= half + 1;
            } else {
                length = half;
            }
        }
        return first;
    }

    /// Room for `total` times, `most` being all there will ever be. Throws std::bad_alloc and changes nothing.
    void reserve(std::size_t total, std::size_t most) {
        if (total > capacity_) {
            const std::size_t larger = capacity_ + capacity_ / 8 + 4;
            move_to(std::min(most, std::max(total, larger)));
        } else if (capacity_ >= 64 && total <= capacity_ / 8) {
            try {
                move_to(total * 2);
            } catch (const std::bad_alloc&) {  // then the larger one stays
            }
        }
    }

    void append(std::int64_t time, std::size_t count) noexcept {  // within the capacity
        for (; count != 0; --count) times_[slot(size_++)] = time;
    }
    void drop_oldest(std::size_t count) noexcept {
        head_ = count == size_ ? 0 : slot(count);
        size_ -= count;
    }
    void drop_newest(std::size_t count) noexcept { size_ -= count; }

    /// Every later time becomes `time`.
    void clamp(std::int64_t time) noexcept {
        for (std::size_t i = size_; i != 0 && (*this)[i - 1] > time; --i) times_[slot(i - 1)] = time;
    }

private:
    std::size_t slot(std::size_t index) const noexcept {
        const std::size_t at = head_ + index;
        return at < capacity_ ? at : at - capacity_;
    }

    void move_to(std::size_t capacity) {
        std::unique_ptr<std::int64_t[]> times{new std::int64_t[capacity]};
        for (std::size_t i = 0; i != size_; ++i) times[i] = (*this)[i];
        times_ = std::move(times);
        capacity_ = capacity;
        head_ = 0;
    }

    std::unique_ptr<std::int64_t[]> times_;
    std::size_t head_ = 0;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
};

}  // namespace sluice::detail

#endif
