// SPDX-License-Identifier: MIT
#ifndef SLUICE_METRICS_REGISTRY_HPP
#define SLUICE_METRICS_REGISTRY_HPP

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sluice/detail/exceptions.hpp>
#include <sluice/metrics/detail/reading.hpp>
#include <sluice/metrics/limiter_counters.hpp>
#include <sluice/metrics/prometheus.hpp>
#include <sluice/metrics/reload_status.hpp>
#include <sluice/metrics/rule_counters.hpp>

namespace sluice::metrics {

/// The counters of a program by name, and their text for Prometheus. Thread-safe; the lock is taken when counters are
/// made or written out, never when something is counted. Names are the limiters' and rules' own, so their number is
/// the configuration's; a key is never a label.
class Registry {
public:
    /// The counters of this limiter, an Observer: the same for all who ask while somebody holds them, as a limiter does
    /// whose observer they are; two limiters of one name count together. When nobody holds them any more they are gone
    /// from the text, too, so that a limiter that a reload has renamed or left out does not stand there for ever.
    std::shared_ptr<LimiterCounters> limiter(const std::string& name) { return named(limiters_, name, denied_keys()); }
    /// The same for a rule; Rule::counters holds them.
    std::shared_ptr<RuleCounters> rule(const std::string& name) { return named(rules_, name); }

    /// From now on new limiters' counters remember which keys are denied most often. Not in the text: an operator asks
    /// denied_keys(). Throws std::invalid_argument for a capacity of 0.
    void track_denied_keys(std::size_t capacity = 1000) {
        auto keys = std::make_shared<TopKeys>(capacity);
        const std::lock_guard lock{mutex_};
        denied_keys_ = std::move(keys);
    }
    /// Null where they are not tracked.
    std::shared_ptr<TopKeys> denied_keys() const {
        const std::lock_guard lock{mutex_};
        return denied_keys_;
    }

    /// How the last reading of a rules file went: load_rules tells it. In the text from the first time on.
    ReloadStatus& reload_status() noexcept {
        has_reloads_.store(true, std::memory_order_relaxed);
        return reload_status_;
    }

    /// A number that is read at each exposition: `read` is called by any thread, without the registry's lock; what it
    /// throws leaves the sample out. `type` is gauge or counter. Takes the place of an earlier one of the same name and
    /// store. Throws std::invalid_argument for a name or type that the format does not have, or one of the registry's own.
    template <class Read>
    void add(const std::string& name, const std::string& type, const std::string& help, const std::string& store,
             Read read) {
        Source source;
        source.push_back(detail::reading(name, type, help, store, std::move(read)));
        keep(std::move(source));
    }

    /// What a store counts: the keys, overflows and reclaimed slots of a memory store, what a Redis or Postgres store's
    /// stats() say. Keeps a handle, until remove_store; a further store of the same name takes this one's place.
    template <class Store>
    void add_store(const std::string& name, const Store& store) {
        keep(detail::readings_of(name, store));
    }
    /// The same as long as the result is held. A store whose name is taken gets a number after it, "main 2".
    template <class Store>
    [[nodiscard]] std::shared_ptr<const void> track_store(const std::string& name, const Store& store) {
        const std::lock_guard lock{mutex_};
        std::string free = name;
        for (int number = 2; has_store(free); ++number) free = name + ' ' + std::to_string(number);
        auto source = std::make_shared<const Source>(detail::readings_of(free, store));
        tracked_.push_back(source);
        return source;
    }
    /// Forgets what add and add_store were told of a store.
    void remove_store(const std::string& name) {
        const std::lock_guard lock{mutex_};
        std::erase_if(kept_, [&](const std::shared_ptr<const Reading>& reading) { return reading->store == name; });
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
        out.metric("sluice_near_limit_total", "counter", "Allowed decisions that left at most a fifth of the limit.");
        for (const auto& [name, counters] : limiters) out.sample({{"limiter", name}}, counters->near_limit());
        out.metric("sluice_errors_total", "counter", "Decisions made without the store's usual answer, by reason.");
        for (const auto& [name, counters] : limiters) write_errors(out, name, *counters);
        out.metric("sluice_decision_duration_seconds", "histogram", "Time that a decision took.");
        for (const auto& [name, counters] : limiters) write_latency(out, name, *counters);
        out.metric("sluice_rule_requests_total", "counter", "Requests by rule.");
        for (const auto& [name, counters] : rules) {
            for (std::size_t i = 0; i < outcome_names.size(); ++i) {
                out.sample({{"rule", name}, {"outcome", outcome_names[i]}}, counters->of(static_cast<Outcome>(i)));
            }
        }
        write_reloads(out);
        write_readings(out, readings);
        return out.text();
    }

private:
    template <class T>
    using Named = std::map<std::string, std::weak_ptr<T>>;
    template <class T>
    using Held = std::map<std::string, std::shared_ptr<T>>;
    using Reading = detail::Reading;
    using Source = std::vector<std::shared_ptr<const Reading>>;
    struct Snapshot {
        Held<LimiterCounters> limiters;
        Held<RuleCounters> rules;
        Source readings;
    };

    template <class T, class... Arguments>
    std::shared_ptr<T> named(Named<T>& all, const std::string& name, Arguments... arguments) {
        const std::lock_guard lock{mutex_};
        std::erase_if(all, [](const auto& entry) { return entry.second.expired(); });
        auto& known = all[name];
        auto counters = known.lock();
        if (!counters) known = counters = std::make_shared<T>(std::move(arguments)...);
        return counters;
    }
    template <class T>
    static Held<T> held(const Named<T>& all) {
        Held<T> out;
        for (const auto& [name, counters] : all) {
            if (auto live = counters.lock()) out.emplace(name, std::move(live));
        }
        return out;
    }

    void keep(Source source) {
        const std::lock_guard lock{mutex_};
        for (auto& reading : source) {
            std::erase_if(kept_, [&](const auto& old) { return old->is_same_series(*reading); });
            kept_.push_back(std::move(reading));
        }
    }
    bool has_store(const std::string& name) {
        std::erase_if(tracked_, [](const auto& source) { return source.expired(); });
        const auto is_its = [&](const std::shared_ptr<const Reading>& reading) { return reading->store == name; };
        return std::any_of(kept_.begin(), kept_.end(), is_its) ||
               std::any_of(tracked_.begin(), tracked_.end(), [&](const std::weak_ptr<const Source>& source) {
                   const auto live = source.lock();
                   return live && std::any_of(live->begin(), live->end(), is_its);
               });
    }
    Snapshot snapshot() const {
        const std::lock_guard lock{mutex_};
        Snapshot all{held(limiters_), held(rules_), kept_};
        for (const auto& source : tracked_) {
            const auto live = source.lock();
            if (!live) continue;
            for (const auto& reading : *live) {
                const auto is_same = [&](const auto& kept) { return kept->is_same_series(*reading); };
                if (std::none_of(kept_.begin(), kept_.end(), is_same)) all.readings.push_back(reading);
            }
        }
        return all;
    }

    /// As Prometheus calls these of its own configuration.
    void write_reloads(PrometheusText& out) const {
        if (!has_reloads_.load(std::memory_order_relaxed)) return;
        out.metric("sluice_rules_last_reload_successful", "gauge",
                   "1 if the rules file was read without an error the last time.");
        out.sample({}, reload_status_.is_good());
        out.metric("sluice_rules_last_reload_success_timestamp_seconds", "gauge",
                   "When a rules file was last read without an error.");
        out.sample({}, reload_status_.last_success().count());
    }

    static void write_errors(PrometheusText& out, const std::string& name, const LimiterCounters& counters) {
        for (const auto& entry : sluice::detail::errc_table) {
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
        out.sample({{"limiter", name}}, counters.latency_sum(), "_sum");
        out.sample({{"limiter", name}}, below, "_count");
    }
    /// Samples of one metric must stand together, whatever order they were added in.
    static void write_readings(PrometheusText& out, const Source& readings) {
        std::map<std::string_view, std::vector<const Reading*>> by_name;
        for (const auto& reading : readings) by_name[reading->name].push_back(reading.get());
        for (const auto& [name, group] : by_name) {
            out.metric(name, group.front()->type, group.front()->help);
            for (const Reading* reading : group) {
                // One reading's trouble must not hide all others.
                sluice::detail::try_or([&] { reading->write(out, {{"store", reading->store}}); }, [] {});
            }
        }
    }

    std::atomic<bool> has_reloads_{false};
    ReloadStatus reload_status_{};
    mutable std::mutex mutex_;
    std::shared_ptr<TopKeys> denied_keys_{};
    Named<LimiterCounters> limiters_;
    Named<RuleCounters> rules_;
    Source kept_;
    std::vector<std::weak_ptr<const Source>> tracked_;
};

}  // namespace sluice::metrics

#endif
