// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_SENTINELS_HPP
#define SLUICE_REDIS_LINK_SENTINELS_HPP

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <sluice/redis/link/client_config.hpp>
#include <sluice/redis/link/master_search.hpp>
#include <sluice/redis/link/server.hpp>
#include <sluice/remote/address.hpp>
#include <sluice/remote/deadline.hpp>

namespace sluice::detail::redis {

/// Sentinels, asked by threads: the connection to the one that answered last is kept. Thread-safe.
class Sentinels final : public MasterFinder {
public:
    using Clock = Deadline::Clock;

    explicit Sentinels(const ClientConfig& config) : sentinels_(std::make_shared<SentinelServers>(config)) {}

    std::error_code find(std::vector<detail::remote::Address>& found, std::string& host,
                         const Deadline& deadline) override {
        std::unique_ptr<MasterSearch> search;
        {
            const std::lock_guard lock{mutex_};
            search = std::move(kept_);
        }
        if (!search) search = std::make_unique<MasterSearch>(sentinels_, nullptr);
        search->begin(deadline);
        auto result = await(*search);
        asked_at_.store(Clock::now().time_since_epoch().count(), std::memory_order_relaxed);
        found = std::move(result.addresses);
        host = std::move(result.host);
        const std::lock_guard lock{mutex_};
        kept_.swap(search);
        return result.error;
    }

    /// One caller asks for all; the others go on meanwhile, unless nobody has asked for long.
    bool has_to_ask(const Deadline& deadline) override {
        const auto pause = sentinels_->recheck;
        if (age() <= pause) return false;
        std::unique_lock lock{mutex_};
        if (is_asking_ && age() <= 2 * pause) return false;
        asked_.wait_until(lock, deadline.at(), [&] { return !is_asking_; });
        if (is_asking_ || age() <= pause) return false;
        is_asking_ = true;
        return true;
    }
    void done_asking() noexcept override {
        {
            const std::lock_guard lock{mutex_};
            is_asking_ = false;
        }
        asked_.notify_all();
    }

    /// In a forked child. A thread of the parent may have held the lock, for ever; then the descriptor stays open.
    void abandon() noexcept {
        const std::unique_lock lock{mutex_, std::try_to_lock};
        if (lock.owns_lock() && kept_) kept_->abandon();
    }

private:
    Clock::duration age() const noexcept {
        return Clock::now().time_since_epoch() - Clock::duration{asked_at_.load(std::memory_order_relaxed)};
    }

    const std::shared_ptr<SentinelServers> sentinels_;
    std::atomic<Clock::rep> asked_at_{0};
    std::mutex mutex_{};
    std::condition_variable asked_{};
    bool is_asking_ = false;
    std::unique_ptr<MasterSearch> kept_{};
};

}  // namespace sluice::detail::redis

#endif
