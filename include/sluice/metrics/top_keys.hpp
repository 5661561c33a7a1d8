// SPDX-License-Identifier: MIT
#ifndef SLUICE_METRICS_TOP_KEYS_HPP
#define SLUICE_METRICS_TOP_KEYS_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <sluice/detail/cpp20.hpp>
#include <sluice/detail/exceptions.hpp>

namespace sluice::metrics {

/// The keys that are denied most often, in bounded memory: SpaceSaving (Metwally, Agrawal, El Abbadi: Efficient computation of
/// frequent and top-k elements in data streams, 2005). With `capacity` counters, a key that has more than one in `capacity` of
/// all denials is surely among them; its count is at most `error` too high. Keys may be personal data: for an operator's eyes,
/// never a metric's label. Thread-safe: one lock for each denial, logarithmic time; up to `capacity` keys of 128 bytes.
class TopKeys {
public:
    struct Entry {
        std::string limiter, key;  ///< what is longer than 128 bytes is cut
        std::uint64_t count = 0;
        std::uint64_t error = 0;  ///< so many of them may be other keys'
    };

    /// Throws std::invalid_argument for a capacity of 0.
    explicit TopKeys(std::size_t capacity = 1000) : capacity_(capacity) {
        if (capacity == 0)
            sluice::detail::throw_or_abort(std::invalid_argument("sluice: TopKeys needs a capacity of 1 or more"));
    }

    /// Counts one denial. Where there is no memory, it is not counted.
    void add(std::string_view limiter, std::string_view key) noexcept {
        sluice::detail::try_or(
            [&] {
                std::string name{limiter.substr(0, longest)};
                name += '\0';
                name += key.substr(0, longest);
                const std::lock_guard lock{mutex_};
                count(std::move(name));
            },
            [] {});
    }

    /// The `most` keys with the highest counts, in that order. Linear in the capacity.
    std::vector<Entry> top(std::size_t most = 10) const {
        std::vector<Entry> all;
        const std::lock_guard lock{mutex_};
        for (auto place = by_count_.rbegin(); place != by_count_.rend() && all.size() != most; ++place) {
            const std::string& name = place->second->first;
            const auto end = name.find('\0');
            all.push_back({name.substr(0, end), name.substr(end + 1), place->first, place->second->second.error});
        }
        return all;
    }

    void clear() noexcept {
        const std::lock_guard lock{mutex_};
        by_count_.clear();
        counters_.clear();
    }

private:
    static constexpr std::size_t longest = 128;

    struct Counter;
    using Named = std::pair<const std::string, Counter>;  // a map of what is incomplete has no members yet
    using ByCount = std::multimap<std::uint64_t, Named*>;
    struct Counter {
        std::uint64_t error = 0;
        ByCount::iterator place{};
    };
    using Counters = std::unordered_map<std::string, Counter>;

    /// A new key takes the place of the one with the lowest count, and its count: it may have been there before.
    void count(std::string name) {
        if (const auto known = counters_.find(name); known != counters_.end()) return increase(*known);
        std::uint64_t error = 0;
        if (counters_.size() == capacity_) {
            const auto least = by_count_.begin();
            error = least->first;
            counters_.erase(least->second->first);
            by_count_.erase(least);
        }
        const auto entry = counters_.emplace(std::move(name), Counter{error}).first;
        const auto place = sluice::detail::try_or([&] { return by_count_.emplace(error + 1, &*entry); },
                                                  [&] {
                                                      counters_.erase(entry);
                                                      return by_count_.end();
                                                  });
        if (place != by_count_.end()) entry->second.place = place;
    }
    void increase(Named& entry) {
        auto node = by_count_.extract(entry.second.place);
        ++node.key();
        entry.second.place = by_count_.insert(std::move(node));
    }

    std::size_t capacity_;
    mutable std::mutex mutex_;
    Counters counters_{};
    ByCount by_count_{};
};

}  // namespace sluice::metrics

#endif
