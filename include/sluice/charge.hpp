// SPDX-License-Identifier: MIT
#ifndef SLUICE_CHARGE_HPP
#define SLUICE_CHARGE_HPP

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include <sluice/any_limiter.hpp>
#include <sluice/charge_calls.hpp>
#include <sluice/decision.hpp>
#include <sluice/detail/algorithm.hpp>
#include <sluice/detail/exceptions.hpp>
#include <sluice/error.hpp>
#include <sluice/rate_limiter.hpp>
#include <sluice/store.hpp>
#include <sluice/units.hpp>

namespace sluice {

namespace detail {
class AllCharges;
}

/// What is to be consumed of one limiter's key: a view of a limiter and a key that live as long.
class Charge {
public:
    template <Policy P, class S>
    Charge(const RateLimiter<P, S>& limiter, std::string_view key, Units cost = 1) noexcept
        : limiter_(detail::ChargedLimiter::of(limiter)), key_(key), cost_(cost) {}
    Charge(const AnyLimiter& limiter, std::string_view key, Units cost = 1) noexcept
        : limiter_(limiter.limiter_->charged(key)), key_(key), cost_(cost) {}
    template <Policy P, class S>
    Charge(const RateLimiter<P, S>&&, std::string_view, Units = 1) = delete;  // gone before it is charged
    Charge(const AnyLimiter&&, std::string_view, Units = 1) = delete;

    std::string_view key() const noexcept { return key_; }
    Units cost() const noexcept { return cost_; }

private:
    friend class detail::AllCharges;

    detail::ChargedLimiter limiter_;
    std::string_view key_;
    Units cost_;
};

namespace detail {

/// One call of try_consume_all.
class AllCharges {
public:
    /// What became of a charge.
    struct Entry {
        enum class Stage : std::uint8_t { open, asked, peeked, unasked } stage = Stage::open;
        Consumption taken{};
    };

    AllCharges(std::span<const Charge> charges, std::span<Entry> entries) noexcept
        : charges_(charges), entries_(entries) {}

    /// Whether all were consumed.
    bool run() noexcept {
        // In this process first: what is denied here spares others their round trip.
        for (std::size_t i = 0; i != charges_.size(); ++i) {
            if (!calls(i).is_in_process) continue;
            if (is_denied_) {
                entries_[i].taken.decision = calls(i).peek(view(i));
                entries_[i].stage = Entry::Stage::peeked;
            } else {
                ask(i);
            }
        }
        for (std::size_t i = 0; i != charges_.size() && !is_denied_; ++i) {
            if (entries_[i].stage != Entry::Stage::open) continue;
            if (!is_shared(i) || !ask_together(i)) ask(i);
        }
        if (is_denied_) give_all_back();
        return !is_denied_;
    }

    void finish(std::span<Decision> out, std::chrono::nanoseconds latency) const noexcept {
        for (std::size_t i = 0; i != charges_.size(); ++i) {
            const Entry& entry = entries_[i];
            out[i] = entry.taken.decision;
            if (entry.stage == Entry::Stage::open) {
                out[i] = failure(Errc::cancelled);
                out[i].limit = calls(i).limit(charges_[i].limiter_.limiter);
            }
            if (is_denied_) {
                out[i].allowed = false;
                out[i].delay = {};
            }
            if (entry.stage == Entry::Stage::asked) calls(i).report(view(i), out[i], latency);
        }
    }

private:
    const ChargeCalls& calls(std::size_t i) const noexcept { return *charges_[i].limiter_.calls; }
    ChargeView view(std::size_t i) const noexcept {
        return {charges_[i].limiter_.limiter, charges_[i].key_, charges_[i].cost_.count()};
    }
    PipelineId pipeline_of(std::size_t i) const noexcept { return calls(i).pipeline_id(charges_[i].limiter_.limiter); }
    bool is_same_pipeline(std::size_t i, std::size_t j) const noexcept {
        return pipeline_of(i).type != nullptr && pipeline_of(i) == pipeline_of(j);
    }
    /// Whether another that is still to be asked goes the same way.
    bool is_shared(std::size_t first) const noexcept {
        for (std::size_t i = first + 1; i < charges_.size(); ++i) {
            if (is_same_pipeline(first, i)) return true;
        }
        return false;
    }

    void ask(std::size_t i) noexcept {
        calls(i).ask(view(i), nullptr, entries_[i].taken);
        note(i);
    }
    void note(std::size_t i) noexcept {
        Decision& decision = entries_[i].taken.decision;
        entries_[i].stage = Entry::Stage::asked;
        if (decision.error) calls(i).resolve(view(i), decision);
        is_denied_ = is_denied_ || !decision.allowed;
    }

    /// All that share a pipeline with the first, in one round trip. False if there is no memory for that; nothing has been
    /// asked then.
    bool ask_together(std::size_t first) noexcept {
        const bool is_asked = try_or(
            [&] {
                const auto pipeline = calls(first).pipeline(charges_[first].limiter_.limiter);
                for (std::size_t i = first; i != charges_.size(); ++i) {
                    if (is_same_pipeline(first, i)) calls(i).add(view(i), *pipeline, nullptr, entries_[i].taken);
                }
                pipeline->run();
                return true;
            },
            [] { return false; });
        for (std::size_t i = first; is_asked && i != charges_.size(); ++i) {
            if (!is_same_pipeline(first, i)) continue;
            calls(i).finish(view(i), nullptr, entries_[i].taken);
            note(i);
        }
        return is_asked;
    }

    bool is_to_give_back(std::size_t i) const noexcept {
        return entries_[i].stage == Entry::Stage::asked && entries_[i].taken.units != 0;
    }
    void give_all_back() noexcept {
        for (std::size_t i = 0; i != charges_.size(); ++i) {
            if (!is_to_give_back(i)) continue;
            if (!is_shared(i) || !give_back_together(i)) give_back(i);
        }
    }
    void give_back(std::size_t i) noexcept {
        Consumption ignored;
        calls(i).ask(view(i), &entries_[i].taken, ignored);
        note_given_back(i);
    }
    /// `remaining` as it is again.
    void note_given_back(std::size_t i) noexcept {
        Consumption& taken = entries_[i].taken;
        taken.decision.remaining += taken.units;
        taken.units = 0;
    }
    bool give_back_together(std::size_t first) noexcept {
        return try_or(
            [&] {
                std::vector<Consumption> ignored(charges_.size());
                const auto pipeline = calls(first).pipeline(charges_[first].limiter_.limiter);
                for (std::size_t i = first; i != charges_.size(); ++i) {
                    if (!is_to_give_back(i) || !is_same_pipeline(first, i)) continue;
                    calls(i).add(view(i), *pipeline, &entries_[i].taken, ignored[i]);
                }
                pipeline->run();
                for (std::size_t i = first; i != charges_.size(); ++i) {
                    if (!is_to_give_back(i) || !is_same_pipeline(first, i)) continue;
                    calls(i).finish(view(i), &entries_[i].taken, ignored[i]);
                    note_given_back(i);
                }
                return true;
            },
            [] { return false; });
    }

    std::span<const Charge> charges_;
    std::span<Entry> entries_;
    bool is_denied_ = false;
};

}  // namespace detail

/// Consumes all charges or none: true if all were consumed. out[i] answers charges[i]; where one is denied none is allowed,
/// and those that denied have a retry_after or an error. A key that comes twice is charged twice, one after the other.
///
/// Charges of stores in this process are made first, one after the other up to the first denial; the rest is peeked. Then
/// those of others: all that share a PipelineStore (limiters on one Redis) in one round trip, each other in one of its own;
/// what is not asked any more has Errc::cancelled. If any denies, what the others had consumed goes back, as of the time
/// when it was consumed, in as many round trips. So more is never admitted than each limit allows, but until then others may
/// be denied for what goes back; a process that dies between the two leaves it consumed. Where giving back fails it stays
/// consumed, too.
///
/// A store that failed counts as its limiter's failure mode says, and is not charged. A negative cost, or spans of different
/// length: nothing is charged, and every Decision has Errc::invalid_argument. Never throws. Allocates where there are more
/// than 8 charges, and for a pipeline. A policy that can neither give back nor refund keeps what it gave.
inline bool try_consume_all(std::span<const Charge> charges, std::span<Decision> out) noexcept {
    using Entry = detail::AllCharges::Entry;
    const auto refuse = [&](Errc error) {
        std::fill(out.begin(), out.end(), failure(error));
        return false;
    };
    bool is_negative = false;
    for (const Charge& charge : charges) is_negative |= charge.cost().is_negative();
    if (is_negative || charges.size() != out.size()) return refuse(Errc::invalid_argument);
    const auto start = std::chrono::steady_clock::now();
    const auto run = [&](std::span<Entry> entries) {
        detail::AllCharges all{charges, entries};
        const bool is_allowed = all.run();
        all.finish(out, std::chrono::steady_clock::now() - start);
        return is_allowed;
    };
    constexpr std::size_t usual = 8;
    if (charges.size() <= usual) {
        std::array<Entry, usual> entries;
        return run(std::span{entries}.first(charges.size()));
    }
    std::vector<Entry> entries;
    const bool has_room = detail::try_or([&] { return entries.resize(charges.size()), true; }, [] { return false; });
    return has_room ? run(entries) : refuse(Errc::no_memory);
}

}  // namespace sluice

#endif
