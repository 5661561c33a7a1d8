// SPDX-License-Identifier: MIT
#ifndef SLUICE_METRICS_REGISTRY_HPP
#define SLUICE_METRICS_REGISTRY_HPP

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sluice/detail/exceptions.hpp>
#include <sluice/metrics/limiter_counters.hpp>
#include <sluice/metrics/prometheus.hpp>
#include <sluice/metrics/rule_counters.hpp>

namespace sluice::metrics {

/// The counters of a program by name, and their text for Prometheus. Thread-safe; the lock is taken when counters are
/// made or written out, never when something is counted. Names are the limiters' and rules' own, so their number is
/// the configuration's; a key is never a label.
class Registry {
public:
    /// The counters of this limiter: made at the first call, the same ever after. An Observer.
    std::shared_ptr<LimiterCounters> limiter(const std::string& name) { return named(limiters_, name); }
    std::shared_ptr<RuleCounters> rule(const std::string& name) { return named(rules_, name); }

    /// A number that is read at each exposition, such as a store's keys(): `read` is called by any thread, without the
    /// registry's lock; what it throws leaves the sample out. `type` is gauge or counter.
    void add(std::string name, std::string type, std::string help, std::string store, std::function<double()> read) {
        const std::lock_guard lock{mutex_};
        readings_.push_back({std::move(name), std::move(type), std::move(help), std::move(store), std::move(read)});
    }

    /// The keys in use, the decisions on overflow states and the slots used again of a memory store; keeps a handle.
    template <class Store>
    void add_store(const std::string& store_name, const Store& store) {
        add("sluice_store_keys", "gauge", "Keys that hold a slot.", store_name,
            [store] { return static_cast<double>(store.keys()); });
        add("sluice_store_overflowed_total", "counter", "Decisions made for new keys while the store was full.",
            store_name, [store] { return static_cast<double>(store.overflowed()); });
        add("sluice_store_reclaimed_total", "counter", "Slots of expired keys that were used again.", store_name,
            [store] { return static_cast<double>(store.reclaimed()); });
    }

    /// Everything, in Prometheus' text format.
    std::string prometheus() const {
        const auto [limiters, rules, readings] = snapshot();
        PrometheusText out;
        out.metric("sluice_decisions_total", "counter", "Decisions by limiter.");
        for (const auto& [name, counters] : limiters) {
            out.sample({{"limiter", name}, {"outcome", "allowed"}}, counters->allowed());
            out.sample({{"limiter", name}, {"outcome", "denied"}}, counters->denied());
        }
        out.metric("sluice_errors_total", "counter", "Decisions made without the store's usual answer, by reason.");
        for (const auto& [name, counters] : limiters) write_errors(out, name, *counters);
        out.metric("sluice_decision_seconds", "histogram", "Time that a decision took.");
        for (const auto& [name, counters] : limiters) write_latency(out, name, *counters);
        out.metric("sluice_rule_requests_total", "counter", "Requests by rule.");
        for (const auto& [name, counters] : rules) {
            for (std::size_t i = 0; i < outcome_names.size(); ++i) {
                out.sample({{"rule", name}, {"outcome", outcome_names[i]}}, counters->of(static_cast<Outcome>(i)));
            }
        }
        write_readings(out, readings);
        return out.text();
    }

private:
    template <class T>
    using Named = std::map<std::string, std::shared_ptr<T>>;
    struct Reading {
        std::string name, type, help, store;
        std::function<double()> read;
    };
    struct Snapshot {
        Named<LimiterCounters> limiters;
        Named<RuleCounters> rules;
        std::vector<Reading> readings;
    };

    template <class T>
    std::shared_ptr<T> named(Named<T>& all, const std::string& name) {
        const std::lock_guard lock{mutex_};
        auto& counters = all[name];
        if (!counters) counters = std::make_shared<T>();
        return counters;
    }
    Snapshot snapshot() const {
        const std::lock_guard lock{mutex_};
        return {limiters_, rules_, readings_};
    }

    static void write_errors(PrometheusText& out, const std::string& name, const LimiterCounters& counters) {
        for (const auto& entry : detail::errc_table) {
            const auto count = counters.with_error(entry.code);
            if (count > 0) out.sample({{"limiter", name}, {"reason", entry.name}}, count);
        }
    }
    static void write_latency(PrometheusText& out, const std::string& name, const LimiterCounters& counters) {
        std::uint64_t below = 0;
        for (std::size_t i = 0; i < LimiterCounters::edges_ns.size(); ++i) {
            below += counters.latency_bucket(i);
            const auto edge = PrometheusText::number(static_cast<double>(LimiterCounters::edges_ns[i]) / 1e9);
            out.sample({{"limiter", name}, {"le", edge}}, below, "_bucket");
        }
        below += counters.latency_bucket(LimiterCounters::edges_ns.size());
        out.sample({{"limiter", name}, {"le", "+Inf"}}, below, "_bucket");
        out.sample({{"limiter", name}}, std::chrono::duration<double>(counters.latency_sum()).count(), "_sum");
        out.sample({{"limiter", name}}, below, "_count");
    }
    /// Samples of one metric must stand together, whatever order they were added in.
    static void write_readings(PrometheusText& out, const std::vector<Reading>& readings) {
        std::map<std::string_view, std::vector<const Reading*>> by_name;
        for (const auto& reading : readings) by_name[reading.name].push_back(&reading);
        for (const auto& [name, group] : by_name) {
            out.metric(name, group.front()->type, group.front()->help);
            for (const Reading* reading : group) {
                // One reading's trouble must not hide all others.
                detail::try_or([&] { out.sample({{"store", reading->store}}, reading->read()); }, [] {});
            }
        }
    }

    mutable std::mutex mutex_;
    Named<LimiterCounters> limiters_;
    Named<RuleCounters> rules_;
    std::vector<Reading> readings_;
};

}  // namespace sluice::metrics

#endif
