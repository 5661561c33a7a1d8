// SPDX-License-Identifier: MIT
#ifndef SLUICE_REMOTE_RESOLVER_HPP
#define SLUICE_REMOTE_RESOLVER_HPP

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/remote/address.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/remote/loop.hpp>

namespace sluice::detail::remote {

/// Looks the name of a host up, each time on a thread of its own that ends with the look-up, since getaddrinfo(3) knows
/// no deadline: callers wait for it as long as theirs allows, and all who ask meanwhile share one. Thread-safe.
class Resolver {
public:
    /// The numeric addresses of a host. Called on a thread of the resolver's; empty: getaddrinfo(3).
    using Function = std::function<std::vector<std::string>(const std::string& host)>;

    Resolver(Endpoint endpoint, Function function)
        : asked_(std::make_shared<const Asked>(Asked{std::move(endpoint), std::move(function)})) {}

    struct Found {
        std::vector<Address> addresses{};  ///< none: the name has none
        Deadline::Clock::time_point at{};  ///< when that was known
    };

    /// Errc::timeout where the look-up takes longer; it goes on, and what it finds within `lifetime` is the next caller's.
    /// With a `wakeup` it does not wait: Errc::busy while the look-up goes on, and an event loop is woken when it ends.
    /// Throws std::bad_alloc, and std::system_error where no thread can be started.
    std::error_code look_up(Found& found, const Deadline& deadline, std::chrono::nanoseconds lifetime,
                            const std::shared_ptr<LoopWakeup>& wakeup) {
        std::shared_ptr<LookUp> running;
        {
            const std::lock_guard lock{mutex_};
            if (!running_ || running_->is_outdated(lifetime)) running_ = start();
            running = running_;
        }
        {
            std::unique_lock wait{running->mutex};
            if (wakeup && !running->done) {
                auto& wakeups = running->wakeups;
                if (std::find(wakeups.begin(), wakeups.end(), wakeup) == wakeups.end()) wakeups.push_back(wakeup);
                return Errc::busy;
            }
            if (!running->finished.wait_until(wait, deadline.at(), [&] { return running->done; })) return Errc::timeout;
            found = running->found;
        }
        const std::lock_guard lock{mutex_};
        if (running == running_) running_.reset();
        return {};
    }

private:
    struct Asked {
        Endpoint endpoint;
        Function function;
    };
    struct LookUp {
        std::mutex mutex{};
        std::condition_variable finished{};
        bool done = false;
        Found found{};
        std::vector<std::shared_ptr<LoopWakeup>> wakeups{};  ///< of event loops that wait

        bool is_outdated(std::chrono::nanoseconds lifetime) {
            const std::lock_guard lock{mutex};
            return done && Deadline::Clock::now() - found.at > lifetime;
        }
    };

    std::shared_ptr<LookUp> start() const {
        auto look_up = std::make_shared<LookUp>();
        std::thread([look_up, asked = asked_] {
            std::vector<Address> addresses;
            try {
                addresses = ask(*asked);
            } catch (...) {  // no memory, or the function failed: as if there were none
            }
            const std::lock_guard lock{look_up->mutex};
            look_up->found = {std::move(addresses), Deadline::Clock::now()};
            look_up->done = true;
            look_up->finished.notify_all();
            for (const auto& wakeup : look_up->wakeups) wakeup->notify();
        }).detach();
        return look_up;
    }

    static std::vector<Address> ask(const Asked& asked) {
        const auto& [host, port, path] = asked.endpoint;
        if (!asked.function) return Address::of_host(host, port, 0);
        std::vector<Address> addresses;
        for (const std::string& numeric : asked.function(host)) {
            for (const Address& address : Address::of_host(numeric, port, AI_NUMERICHOST)) addresses.push_back(address);
        }
        return addresses;
    }

    std::shared_ptr<const Asked> asked_;
    std::mutex mutex_{};
    std::shared_ptr<LookUp> running_{};
};

}  // namespace sluice::detail::remote

#endif
