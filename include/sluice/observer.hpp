// SPDX-License-Identifier: MIT
#ifndef SLUICE_OBSERVER_HPP
#define SLUICE_OBSERVER_HPP

#include <chrono>
#include <cstdint>
#include <string_view>

#include <sluice/decision.hpp>

namespace sluice {

/// One decision, as an Observer sees it. The views live only as long as the call.
struct DecisionEvent {
    std::string_view limiter;  ///< LimiterOptions::name
    std::string_view key;      ///< may be personal data: never a metric's label
    std::uint64_t cost = 0;
    const Decision& decision;
    std::chrono::nanoseconds latency;  ///< of this call; of the whole batch divided by its size for try_consume_many
};

/// What a rule said to a request.
enum class Outcome : std::uint8_t {
    allowed,
    denied,
    would_deny,  ///< over a limit, but the rule is not enforced (for this client)
    exempt,
};

/// Hears of every try_consume, after all locks are released. Called by many threads at once; what it throws is
/// dropped. It may use the limiter again. A limiter without an observer pays one branch.
class Observer {
public:
    virtual ~Observer() = default;
    virtual void on_decision(const DecisionEvent& event) = 0;
};

}  // namespace sluice

#endif
