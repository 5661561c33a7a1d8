// SPDX-License-Identifier: MIT
#ifndef SLUICE_METRICS_RELOAD_STATUS_HPP
#define SLUICE_METRICS_RELOAD_STATUS_HPP

#include <atomic>
#include <chrono>
#include <cstdint>

#include <sluice/detail/cpp20.hpp>

namespace sluice::metrics {

/// How the last reading of a rules file went. Thread-safe, never throws.
class ReloadStatus {
public:
    using Seconds = std::chrono::duration<double>;

    void succeeded() noexcept {
        const auto now = std::chrono::system_clock::now().time_since_epoch();
        success_ms_.store(std::chrono::duration_cast<std::chrono::milliseconds>(now).count(),
                          std::memory_order_relaxed);
        is_good_.store(true, std::memory_order_relaxed);
    }
    void failed() noexcept { is_good_.store(false, std::memory_order_relaxed); }

    bool is_good() const noexcept { return is_good_.load(std::memory_order_relaxed); }
    /// Since the Unix epoch; 0 for never.
    Seconds last_success() const noexcept {
        return std::chrono::milliseconds{success_ms_.load(std::memory_order_relaxed)};
    }

private:
    std::atomic<std::int64_t> success_ms_{0};
    std::atomic<bool> is_good_{false};
};

}  // namespace sluice::metrics

#endif
