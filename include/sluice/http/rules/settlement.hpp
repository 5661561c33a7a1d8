// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_RULES_SETTLEMENT_HPP
#define SLUICE_HTTP_RULES_SETTLEMENT_HPP

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <sluice/http/answer.hpp>
#include <sluice/reservation.hpp>

namespace sluice::http {

/// Which requests a limit counts in the end. A request takes its units before it is handled; those that do not count give
/// them back when its answer is known, as of the time when they were taken.
enum class Counted : std::uint8_t {
    all,
    failures,   ///< whose answer's status is 400 or more: failed logins
    successes,  ///< whose answer's status is below 400
    reported,   ///< all, by the cost that the handler reports (Verdict::report_cost); Limit::cost is an estimate
};

namespace detail {

/// What one request has taken of limits that do not count all. Unless somebody tells how the request ended, everything stays
/// charged: a client that goes away in time must not have its units back.
class Settlement {
public:
    Settlement() = default;
    Settlement(const Settlement&) = delete;
    Settlement& operator=(const Settlement&) = delete;
    ~Settlement() { settle(0); }

    void add(Reservation taken, Counted counted) noexcept {
        taken_[count_] = std::move(taken);
        counted_[count_++] = counted;
    }
    void report(std::uint64_t cost) noexcept {
        cost_.store(cost, std::memory_order_relaxed);
        is_reported_.store(true, std::memory_order_release);
    }
    /// Once; a status of 0 is one that nobody knows.
    void settle(int status) noexcept {
        if (is_settled_.exchange(true, std::memory_order_acq_rel)) return;
        for (std::size_t i = 0; i != count_; ++i) taken_[i].settle(final_cost(counted_[i], taken_[i].units(), status));
    }

private:
    std::uint64_t final_cost(Counted counted, std::uint64_t held, int status) const noexcept {
        if (counted == Counted::reported && is_reported_.load(std::memory_order_acquire)) {
            return cost_.load(std::memory_order_relaxed);
        }
        if (status == 0) return held;
        if (counted == Counted::failures) return status >= 400 ? held : 0;
        if (counted == Counted::successes) return status < 400 ? held : 0;
        return held;
    }

    std::array<Reservation, max_limits> taken_{};
    std::array<Counted, max_limits> counted_{};
    std::size_t count_ = 0;
    std::atomic<std::uint64_t> cost_{0};
    std::atomic<bool> is_reported_{false};
    std::atomic<bool> is_settled_{false};
};

}  // namespace detail

}  // namespace sluice::http

#endif
