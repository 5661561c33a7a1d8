// SPDX-License-Identifier: MIT
#ifndef SLUICE_METRICS_RULE_COUNTERS_HPP
#define SLUICE_METRICS_RULE_COUNTERS_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <sluice/detail/sharded_counters.hpp>
#include <sluice/observer.hpp>

namespace sluice::metrics {

using sluice::Outcome;

inline constexpr std::array<std::string_view, 4> outcome_names{"allowed", "denied", "would_deny", "exempt"};

/// Counts one rule's outcomes. Thread-safe, never throws; one uncontended atomic addition for each request.
class RuleCounters {
public:
    void count(Outcome outcome) noexcept { counters_.add(static_cast<std::size_t>(outcome)); }
    std::uint64_t of(Outcome outcome) const noexcept { return counters_.sum(static_cast<std::size_t>(outcome)); }

private:
    sluice::detail::ShardedCounters<outcome_names.size()> counters_;
};

}  // namespace sluice::metrics

#endif
