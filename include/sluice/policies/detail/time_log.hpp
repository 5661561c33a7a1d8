// SPDX-License-Identifier: MIT
#ifndef SLUICE_POLICIES_DETAIL_TIME_LOG_HPP
#define SLUICE_POLICIES_DETAIL_TIME_LOG_HPP

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>

#include <sluice/detail/algorithm.hpp>
#include <sluice/detail/exceptions.hpp>

namespace sluice::detail {

/// How many units came at which times, in ascending order: a ring of entries of 12 bytes, one for each time whatever its
/// count, allocated as it fills. Entries are added at the new end and dropped at either. Capacity grows by eight and
/// an eighth, up to the bound that the caller gives, and is given back when nearly all of it is unused. Up to 2^31 units.
///
/// What most requests ask for (units, the first and the last time) is kept beside the ring, so that they write an entry
/// without waiting for its memory. The newest entry is not in the ring yet, so that the first one needs no memory.
class TimeLog {
public:
    static constexpr bool is_trivially_relocatable = true;

    TimeLog() noexcept = default;
    TimeLog(TimeLog&& other) noexcept { swap(other); }
    TimeLog& operator=(TimeLog&& other) noexcept {
        TimeLog{std::move(other)}.swap(*this);
        return *this;
    }

    /// Entries.
    std::size_t size() const noexcept { return its_.size; }
    /// Entries that there is room for.
    std::size_t capacity() const noexcept { return its_.capacity + std::size_t{1}; }
    bool is_mostly_unused() const noexcept { return capacity() >= 64 && size() < capacity() / 8; }
    std::uint64_t units() const noexcept { return its_.total - its_.dropped; }  // modulo 2^32

    std::int64_t operator[](std::size_t index) const noexcept {  // 0 is the oldest
        return index + 1 == size() ? its_.newest : at(index).time();
    }
    std::uint64_t units_at(std::size_t index) const noexcept { return units_before(index + 1) - units_before(index); }
    std::int64_t oldest() const noexcept { return its_.oldest; }
    std::int64_t newest() const noexcept { return its_.newest; }
    /// Whether an entry can be added to others as things are.
    bool has_room() const noexcept { return size() != 0 && size() < capacity() && !is_mostly_unused(); }

    /// Has the memory fetched that the newest entry goes to when another comes, so that who appends that does not wait.
    void prefetch() const noexcept {
        if (size() != 0) __builtin_prefetch(entries_.get() + slot(size() - 1), 1);
    }

    /// How many of the oldest entries are before `time`.
    std::size_t count_before(std::int64_t time) const noexcept {
        if (size() == 0 || its_.oldest >= time) return 0;
        if (its_.newest < time) return size();
        // Usually few have left since the last time, so those that come next are looked at first.
        std::size_t before = 1, reach = 2;
        for (; reach < size() && (*this)[reach - 1] < time; reach *= 2) before = reach;
        return first_where(before, std::min(reach, size()), [&](std::size_t i) { return (*this)[i] >= time; });
    }
    /// The units of so many of the oldest entries.
    std::uint64_t units_before(std::size_t entries) const noexcept {
        if (entries == 0) return 0;
        return entries == size() ? units() : at(entries - 1).total - its_.dropped;
    }
    /// The time of the unit before which `older` others came; there is such a unit.
    std::int64_t time_of_unit(std::uint64_t older) const noexcept {
        return (*this)[first_where(0, size(), [&](std::size_t i) { return units_before(i + 1) > older; })];
    }

    /// Room for `total` entries, `most` being all there will ever be. Throws std::bad_alloc and changes nothing.
    void reserve(std::size_t total, std::uint64_t most) {
        if (total > capacity()) {
            const std::size_t larger = capacity() + capacity() / 8 + 8;
            const auto wanted = std::min<std::uint64_t>(most, std::max(total, larger));
            if (!move_to(static_cast<std::size_t>(wanted))) throw_or_abort(std::bad_alloc{});
        } else if (is_mostly_unused()) {
            static_cast<void>(move_to(total * 2));  // without memory for that, the larger one stays
        }
    }

    /// At `time`, which is not before the newest entry's. Within the capacity, unless that is the newest's.
    void append(std::int64_t time, std::uint64_t units) noexcept {
        if (size() == 0) {
            its_.oldest = time;
            its_.size = 1;
        } else if (its_.newest != time) {
            at(size() - 1) = Entry{its_.newest, its_.total};
            ++its_.size;
        }
        its_.newest = time;
        its_.total += static_cast<std::uint32_t>(units);
    }
    void drop_oldest(std::size_t entries) noexcept {
        if (entries == 0) return;
        its_.dropped += static_cast<std::uint32_t>(units_before(entries));
        its_.head = entries + 1 >= size() ? 0 : static_cast<std::uint32_t>(slot(entries));
        its_.size -= static_cast<std::uint32_t>(entries);
        if (size() != 0) its_.oldest = (*this)[0];
    }
    void drop_newest_units(std::uint64_t units) noexcept {
        const std::uint64_t left = this->units() - std::min(units, this->units());
        const auto is_enough = [&](std::size_t i) { return units_before(i + 1) >= left; };
        keep_oldest(left == 0 ? 0 : first_where(0, size(), is_enough) + 1);
        its_.total = its_.dropped + static_cast<std::uint32_t>(left);
    }

    /// At most the units of the entry of exactly that time. Rewrites the entries behind it.
    void drop_units_at(std::int64_t time, std::uint64_t units) noexcept {
        const std::size_t index = count_before(time);
        if (index == size() || (*this)[index] != time) return;
        const auto dropped = static_cast<std::uint32_t>(std::min(units, units_at(index)));
        const std::size_t gone = dropped == units_at(index) ? 1 : 0;
        const bool was_newest = index + 1 == size();
        for (std::size_t i = index; i + gone + 1 < size(); ++i) {
            at(i) = at(i + gone);
            at(i).total -= dropped;
        }
        its_.total -= dropped;
        if (was_newest) return keep_oldest(size() - gone);
        its_.size -= static_cast<std::uint32_t>(gone);
        its_.oldest = (*this)[0];
    }

private:
    class Entry {
    public:
        Entry() noexcept = default;  // of no value
        Entry(std::int64_t time, std::uint32_t its_total) noexcept
            : total(its_total), time_(std::bit_cast<std::array<std::uint32_t, 2>>(time)) {}
        std::int64_t time() const noexcept { return std::bit_cast<std::int64_t>(time_); }

        std::uint32_t total;  // units up to here, those of the entry included, counted since the beginning

    private:
        std::array<std::uint32_t, 2> time_;  // as an integer it would need 16 bytes
    };
    static_assert(sizeof(Entry) == 12);

    std::size_t slot(std::size_t index) const noexcept {
        const std::size_t at = its_.head + index;
        return at < its_.capacity ? at : at - its_.capacity;
    }
    // All but the newest.
    Entry& at(std::size_t index) noexcept { return entries_[slot(index)]; }
    const Entry& at(std::size_t index) const noexcept { return entries_[slot(index)]; }

    /// The first entry in [first, last) of which `is_true`, as it is of all later ones; `last` if there is none.
    template <class Predicate>
    static std::size_t first_where(std::size_t first, std::size_t last, Predicate is_true) noexcept {
        while (first != last) {
            const std::size_t middle = first + (last - first) / 2;
            if (is_true(middle)) {
                last = middle;
            } else {
                first = middle + 1;
            }
        }
        return first;
    }

    void keep_oldest(std::size_t entries) noexcept {
        if (entries != 0) its_.newest = (*this)[entries - 1];
        its_.size = static_cast<std::uint32_t>(entries);
    }

    bool move_to(std::size_t capacity) noexcept {
        std::unique_ptr<Entry[]> entries{new (std::nothrow) Entry[capacity - 1]};
        if (!entries) return false;
        for (std::size_t i = 0; i + 1 < size(); ++i) entries[i] = at(i);
        entries_ = std::move(entries);
        its_.capacity = static_cast<std::uint32_t>(capacity - 1);
        its_.head = 0;
        return true;
    }

    void swap(TimeLog& other) noexcept {
        std::swap(entries_, other.entries_);
        std::swap(its_, other.its_);
    }

    struct Summary {
        std::int64_t oldest = 0, newest = 0;  // if there are entries
        std::uint32_t dropped = 0;            // the total before the oldest entry
        std::uint32_t total = 0;              // of the newest entry
        std::uint32_t head = 0, size = 0;
        std::uint32_t capacity = 0;  // of the ring
    };

    std::unique_ptr<Entry[]> entries_;
    Summary its_;
};

}  // namespace sluice::detail

#endif
