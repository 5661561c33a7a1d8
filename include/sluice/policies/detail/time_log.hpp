// SPDX-License-Identifier: MIT
#ifndef SLUICE_POLICIES_DETAIL_TIME_LOG_HPP
#define SLUICE_POLICIES_DETAIL_TIME_LOG_HPP

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>

#include <sluice/detail/algorithm.hpp>
#include <sluice/detail/exceptions.hpp>

namespace sluice::detail {

/// How many units came at which times, in ascending order: a ring of entries of 12 bytes, one for each time whatever its
/// count, allocated as it fills. Entries are added at the new end and dropped at either. Capacity grows by an eighth,
/// up to the bound that the caller gives, and is given back when nearly all of it is unused. Up to 2^31 units.
class TimeLog {
public:
    TimeLog() noexcept = default;
    TimeLog(TimeLog&& other) noexcept { swap(other); }
    TimeLog& operator=(TimeLog&& other) noexcept {
        TimeLog{std::move(other)}.swap(*this);
        return *this;
    }

    std::size_t size() const noexcept { return size_; }          ///< entries
    std::size_t capacity() const noexcept { return capacity_; }  ///< entries that there is room for
    bool is_mostly_unused() const noexcept { return capacity_ >= 64 && size_ < capacity_ / 8; }
    std::uint64_t units() const noexcept { return units_before(size_); }

    std::int64_t operator[](std::size_t index) const noexcept { return times_[slot(index)]; }  // 0 is the oldest
    std::uint64_t units_at(std::size_t index) const noexcept { return units_before(index + 1) - units_before(index); }
    std::int64_t newest() const noexcept { return (*this)[size_ - 1]; }

    /// How many of the oldest entries are before `time`.
    std::size_t count_before(std::int64_t time) const noexcept {
        return first_where([&](std::size_t index) { return (*this)[index] >= time; });
    }
    /// The units of so many of the oldest entries.
    std::uint64_t units_before(std::size_t entries) const noexcept {
        return entries == 0 ? 0 : totals_[slot(entries - 1)] - dropped_;  // modulo 2^32
    }
    /// The time of the unit before which `older` others came; there is such a unit.
    std::int64_t time_of_unit(std::uint64_t older) const noexcept {
        return (*this)[first_where([&](std::size_t index) { return units_before(index + 1) > older; })];
    }

    /// Room for `total` entries, `most` being all there will ever be. Throws std::bad_alloc and changes nothing.
    void reserve(std::size_t total, std::size_t most) {
        if (total > capacity_) {
            const std::size_t larger = capacity_ + capacity_ / 8 + 4;
            if (!move_to(std::min(most, std::max(total, larger)))) throw_or_abort(std::bad_alloc{});
        } else if (is_mostly_unused()) {
            static_cast<void>(move_to(total * 2));  // without memory for that, the larger one stays
        }
    }

    /// At `time`, which is not before the newest entry's. Within the capacity, unless that is the newest's.
    void append(std::int64_t time, std::uint64_t units) noexcept {
        const std::uint64_t total = this->units() + units;
        if (size_ == 0 || newest() != time) times_[slot(size_++)] = time;
        totals_[slot(size_ - 1)] = dropped_ + static_cast<std::uint32_t>(total);
    }
    void drop_oldest(std::size_t entries) noexcept {
        if (entries == 0) return;
        dropped_ = totals_[slot(entries - 1)];
        head_ = entries == size_ ? 0 : slot(entries);
        size_ -= entries;
    }
    void drop_newest_units(std::uint64_t units) noexcept {
        const std::uint64_t left = this->units() - std::min(units, this->units());
        size_ = left == 0 ? 0 : first_where([&](std::size_t index) { return units_before(index + 1) >= left; }) + 1;
        if (size_ != 0) totals_[slot(size_ - 1)] = dropped_ + static_cast<std::uint32_t>(left);
    }

    /// At most the units of the entry of exactly that time. Rewrites the entries behind it.
    void drop_units_at(std::int64_t time, std::uint64_t units) noexcept {
        const std::size_t index = count_before(time);
        if (index == size_ || (*this)[index] != time) return;
        const auto dropped = static_cast<std::uint32_t>(std::min(units, units_at(index)));
        const bool is_gone = dropped == units_at(index);
        for (std::size_t i = index; i != size_; ++i) totals_[slot(i)] -= dropped;
        if (!is_gone) return;
        for (std::size_t i = index + 1; i != size_; ++i) {
            times_[slot(i - 1)] = times_[slot(i)];
            totals_[slot(i - 1)] = totals_[slot(i)];
        }
        --size_;
    }

private:
    std::size_t slot(std::size_t index) const noexcept {
        const std::size_t at = head_ + index;
        return at < capacity_ ? at : at - capacity_;
    }

    /// The first entry of which `is_true`, as it is of all later ones; size() if there is none.
    template <class Predicate>
    std::size_t first_where(Predicate is_true) const noexcept {
        std::size_t first = 0;
        for (std::size_t length = size_; length != 0;) {
            const std::size_t half = length / 2;
            if (is_true(first + half)) {
                length = half;
            } else {
                first += half + 1;
                length -= half + 1;
            }
        }
        return first;
    }

    bool move_to(std::size_t capacity) noexcept {
        std::unique_ptr<std::int64_t[]> times{new (std::nothrow) std::int64_t[capacity]};
        std::unique_ptr<std::uint32_t[]> totals{new (std::nothrow) std::uint32_t[capacity]};
        if (!times || !totals) return false;
        for (std::size_t i = 0; i != size_; ++i) {
            times[i] = (*this)[i];
            totals[i] = totals_[slot(i)];
        }
        times_ = std::move(times);
        totals_ = std::move(totals);
        capacity_ = capacity;
        head_ = 0;
        return true;
    }

    void swap(TimeLog& other) noexcept {
        std::swap(times_, other.times_);
        std::swap(totals_, other.totals_);
        std::swap(dropped_, other.dropped_);
        std::swap(head_, other.head_);
        std::swap(size_, other.size_);
        std::swap(capacity_, other.capacity_);
    }

    std::unique_ptr<std::int64_t[]> times_;
    std::unique_ptr<std::uint32_t[]> totals_;  // units up to each entry, that one included, counted since the beginning
    std::uint32_t dropped_ = 0;                // of the entries that were dropped at the old end
    std::size_t head_ = 0;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
};

}  // namespace sluice::detail

#endif
