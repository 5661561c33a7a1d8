// SPDX-License-Identifier: MIT
#ifndef SLUICE_METRICS_DETAIL_READING_HPP
#define SLUICE_METRICS_DETAIL_READING_HPP

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sluice/detail/exceptions.hpp>
#include <sluice/metrics/prometheus.hpp>

namespace sluice::metrics::detail {

/// A number of a store that is read when metrics are written.
struct Reading {
    std::string name, type, help, store;
    std::function<void(PrometheusText&, const Labels&)> write;  // may throw

    bool is_same_series(const Reading& other) const noexcept { return name == other.name && store == other.store; }
};

/// What Registry writes itself: a second family of one name would make the whole text invalid.
inline constexpr std::array<std::string_view, 6> own_families{
    "sluice_decisions_total",           "sluice_near_limit_total",    "sluice_errors_total",
    "sluice_decision_duration_seconds", "sluice_rule_requests_total", "sluice_rules_last_reload"};

/// Throws std::invalid_argument.
inline void check_family(std::string_view name, std::string_view type) {
    const auto is_letter = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':';
    };
    const bool is_name = !name.empty() && is_letter(name.front()) && std::all_of(name.begin(), name.end(), [&](char c) {
        return is_letter(c) || (c >= '0' && c <= '9');
    });
    const bool is_own = std::any_of(own_families.begin(), own_families.end(),
                                    [&](std::string_view own) { return name.substr(0, own.size()) == own; });
    if (!is_name || is_own) {
        sluice::detail::throw_or_abort(std::invalid_argument("sluice: '" + std::string{name} +
                                                             "' cannot be a metric's name" +
                                                             (is_own ? ": it is the registry's own" : "")));
    }
    if (type != "gauge" && type != "counter") {
        sluice::detail::throw_or_abort(
            std::invalid_argument("sluice: a metric's type must be gauge or counter, not '" + std::string{type} + "'"));
    }
}

template <class Read>
std::shared_ptr<const Reading> reading(std::string name, std::string type, std::string help, std::string store,
                                       Read read) {
    check_family(name, type);
    return std::make_shared<const Reading>(Reading{std::move(name), std::move(type), std::move(help), std::move(store),
                                                   [read = std::move(read)](PrometheusText& out, const Labels& labels) {
                                                       const auto value =
                                                           read();  // before anything is written: it may throw
                                                       out.sample(labels, value);
                                                   }});
}

/// All that a store of the library counts, by the names of its members, so that metrics need to know no store.
template <class Store>
std::vector<std::shared_ptr<const Reading>> readings_of(const std::string& name, const Store& store) {
    std::vector<std::shared_ptr<const Reading>> all;
    const auto add = [&](const char* what, const char* type, const char* help, auto read) {
        all.push_back(
            reading("sluice_store_" + std::string{what}, type, help, name, [store, read] { return read(store); }));
    };
    if constexpr (requires { store.keys(), store.overflowed(), store.reclaimed(); }) {
        add("keys", "gauge", "Keys that hold a slot.", [](const Store& s) { return s.keys(); });
        add("overflowed_total", "counter", "Decisions made for new keys while the store was full.",
            [](const Store& s) { return s.overflowed(); });
        add("reclaimed_total", "counter", "Slots of expired keys that were used again.",
            [](const Store& s) { return s.reclaimed(); });
    } else {
        using Stats = decltype(store.stats());
        if constexpr (requires(const Stats& stats) { stats.decisions; }) {
            add("decisions_total", "counter", "Decisions that the server made.",
                [](const Store& s) { return s.stats().decisions; });
        }
        if constexpr (requires(const Stats& stats) { stats.round_trips; }) {
            add("round_trips_total", "counter", "Requests written and answered, each with one or more scripts.",
                [](const Store& s) { return s.stats().round_trips; });
        }
        if constexpr (requires(const Stats& stats) { stats.scripts; }) {
            add("scripts_total", "counter", "Runs of a script.", [](const Store& s) { return s.stats().scripts; });
        }
        if constexpr (requires(const Stats& stats) { stats.statements; }) {
            add("statements_total", "counter", "Statements that the server answered.",
                [](const Store& s) { return s.stats().statements; });
        }
        if constexpr (requires(const Stats& stats) { stats.failures; }) {
            add("failures_total", "counter", "What the server did not answer, or was not asked.",
                [](const Store& s) { return s.stats().failures; });
            add("dials_total", "counter", "Connections begun, successfully or not.",
                [](const Store& s) { return s.stats().dials; });
            add("connections", "gauge", "Open connections.", [](const Store& s) { return s.stats().connections; });
            add("breaker_openings_total", "counter", "Times that the breaker opened.",
                [](const Store& s) { return s.stats().breaker_openings; });
            add("breaker_open", "gauge", "1 while the server is not asked because it failed repeatedly.",
                [](const Store& s) { return s.stats().breaker_is_open; });
        }
        if constexpr (requires(const Stats& stats) { stats.redirections; }) {
            add("redirections_total", "counter", "Calls sent again because a cluster serves their key elsewhere.",
                [](const Store& s) { return s.stats().redirections; });
        }
        // Layers in front of a store.
        if constexpr (requires(const Stats& stats) { stats.hits; }) {
            add("hits_total", "counter",
                "What was decided without asking the store behind: denials, or units of a lease.",
                [](const Store& s) { return s.stats().hits; });
        }
        if constexpr (requires(const Stats& stats) { stats.remembered; }) {
            add("remembered_total", "counter", "Denials that a cache has written down.",
                [](const Store& s) { return s.stats().remembered; });
        }
        if constexpr (requires(const Stats& stats) { stats.leases; }) {
            add("leases_total", "counter", "Times that the store behind gave units ahead of need.",
                [](const Store& s) { return s.stats().leases; });
            add("held", "gauge", "Units that are held ahead of need.", [](const Store& s) { return s.stats().held; });
            add("returned_total", "counter", "Units given back, since nobody needed them.",
                [](const Store& s) { return s.stats().returned; });
            add("stranded_total", "counter", "Units that were neither spent nor given back.",
                [](const Store& s) { return s.stats().stranded; });
        }
    }
    return all;
}

}  // namespace sluice::metrics::detail

#endif
