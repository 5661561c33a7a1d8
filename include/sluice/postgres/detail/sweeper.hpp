// SPDX-License-Identifier: MIT
#ifndef SLUICE_POSTGRES_DETAIL_SWEEPER_HPP
#define SLUICE_POSTGRES_DETAIL_SWEEPER_HPP

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include <sluice/postgres/detail/statement.hpp>
#include <sluice/postgres/schema.hpp>

namespace sluice::detail::postgres {

/// When this process removes rows that are due, and where: every 100 ms at most, a few pages of the table in a
/// transaction of its own whose answer nobody waits for. For each page of new keys at least two are looked through, so
/// that the table cannot grow for ever. Thread-safe.
class Sweeper {
public:
    using Clock = std::chrono::steady_clock;

    void note_new_keys(std::uint64_t count) noexcept { new_keys_.fetch_add(count, std::memory_order_relaxed); }

    /// To be sent by whoever gets true.
    bool is_due(Clock::time_point now) noexcept {
        auto next = next_.load(std::memory_order_relaxed);
        const auto ticks = now.time_since_epoch();
        return ticks.count() >= next &&
               next_.compare_exchange_strong(next,
                                             (ticks + std::chrono::duration_cast<Clock::duration>(interval)).count(),
                                             std::memory_order_relaxed);
    }
    std::string text(const std::string& schema) noexcept(false) {
        const auto born = new_keys_.exchange(0, std::memory_order_relaxed);
        const auto pages = std::clamp<std::uint64_t>(born / keys_per_page * 2, least_pages, most_pages);
        return transaction_settings(lock_wait, longest) + "SELECT " + quoted(schema) + ".sweep_2('" +
               std::to_string(hand_.load(std::memory_order_relaxed)) + "'::pg_catalog.int8,'" + std::to_string(pages) +
               "'::pg_catalog.int4)";
    }
    /// What the server answered: where to go on.
    void learn(std::string_view answer) noexcept {
        std::int64_t hand = 0;
        const auto [stop, error] = std::from_chars(answer.data(), answer.data() + answer.size(), hand);
        if (error == std::errc{} && hand >= 0) hand_.store(hand, std::memory_order_relaxed);
    }

private:
    static constexpr std::chrono::milliseconds interval{100};
    static constexpr std::chrono::milliseconds lock_wait{10};
    static constexpr std::chrono::milliseconds longest{50};
    static constexpr std::uint64_t keys_per_page = 24;  // those of a page that is half full, with long keys fewer
    static constexpr std::uint64_t least_pages = 8;
    static constexpr std::uint64_t most_pages = 256;

    // Processes begin anywhere, so that each looks through other pages.
    std::atomic<std::int64_t> hand_{Clock::now().time_since_epoch().count() & 0xfffffff};
    std::atomic<std::uint64_t> new_keys_{0};
    std::atomic<Clock::rep> next_{0};
};

}  // namespace sluice::detail::postgres

#endif
