// SPDX-License-Identifier: MIT
#ifndef SLUICE_METRICS_LIMITER_COUNTERS_HPP
#define SLUICE_METRICS_LIMITER_COUNTERS_HPP

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include <sluice/detail/sharded_counters.hpp>
#include <sluice/error.hpp>
#include <sluice/metrics/top_keys.hpp>
#include <sluice/observer.hpp>

namespace sluice::metrics {

/// Counts what one limiter decides; give it to LimiterOptions::observer. Thread-safe, never throws or allocates; a
/// decision costs three to five uncontended atomic additions. Keys are looked at only for TopKeys, where it has one.
class LimiterCounters final : public Observer {
public:
    /// Upper edges of the latency histogram in nanoseconds; one more bucket holds the rest.
    static constexpr std::array<std::int64_t, 20> edges_ns{
        100,       250,        500,        1'000,      2'500,       5'000,        10'000,
        25'000,    50'000,     100'000,    250'000,    500'000,     1'000'000,    2'500'000,
        5'000'000, 10'000'000, 25'000'000, 50'000'000, 100'000'000, 1'000'000'000};

    LimiterCounters() = default;
    /// Keys of denials go to `denied_keys`, too, if there is one.
    explicit LimiterCounters(std::shared_ptr<TopKeys> denied_keys) noexcept : denied_keys_(std::move(denied_keys)) {}

    void on_decision(const DecisionEvent& event) noexcept override {
        const Decision& decision = event.decision;
        counters_.add(decision.allowed ? allowed_at : denied_at);
        if (decision.allowed && is_decided(decision.error) && decision.remaining <= decision.limit / 5) {
            counters_.add(near_limit_at);
        }
        const auto latency = std::max<std::int64_t>(event.latency.count(), 0);
        const auto bucket = std::lower_bound(edges_ns.begin(), edges_ns.end(), latency) - edges_ns.begin();
        counters_.add(bucket_at + static_cast<std::size_t>(bucket));
        counters_.add(sum_at, static_cast<std::uint64_t>(latency));
        if (!decision.allowed && denied_keys_) denied_keys_->add(event.limiter, event.key);
        if (event.decision.error) counters_.add(error_index(event.decision.error));
    }

    std::uint64_t allowed() const noexcept { return counters_.sum(allowed_at); }
    std::uint64_t denied() const noexcept { return counters_.sum(denied_at); }
    /// Of the allowed, those that left at most a fifth of the limit.
    std::uint64_t near_limit() const noexcept { return counters_.sum(near_limit_at); }
    /// Decisions that carried this error; errors of other categories count as Errc::server_error.
    std::uint64_t with_error(Errc error) const noexcept { return counters_.sum(error_index(error)); }
    /// Decisions that took up to edges_ns[bucket] and longer than the edge before.
    std::uint64_t latency_bucket(std::size_t bucket) const noexcept { return counters_.sum(bucket_at + bucket); }
    std::chrono::nanoseconds latency_sum() const noexcept {
        return std::chrono::nanoseconds{static_cast<std::int64_t>(counters_.sum(sum_at))};
    }

private:
    static constexpr std::size_t allowed_at = 0, denied_at = 1, sum_at = 2, near_limit_at = 3, bucket_at = 4,
                                 error_at = bucket_at + edges_ns.size() + 1;

    static std::size_t error_index(const std::error_code& error) noexcept {
        const auto code = static_cast<Errc>(error.value());
        const bool is_ours = sluice::detail::errc_entry(error.value()) != nullptr && error == code;
        return error_at + static_cast<std::size_t>(is_ours ? code : Errc::server_error) - 1;
    }

    sluice::detail::ShardedCounters<error_at + sluice::detail::errc_count> counters_;
    std::shared_ptr<TopKeys> denied_keys_{};
};

}  // namespace sluice::metrics

#endif
