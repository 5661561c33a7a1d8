// SPDX-License-Identifier: MIT
#ifndef SLUICE_REMOTE_ENDPOINTS_HPP
#define SLUICE_REMOTE_ENDPOINTS_HPP

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/remote/address.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/remote/loop.hpp>
#include <sluice/remote/resolver.hpp>

namespace sluice::detail::remote {

/// The addresses behind an endpoint, in the order in which to dial them: the one that served last, those of which
/// nothing bad is known, then those that failed, the oldest failure first. Paths and numeric addresses are known for
/// ever; those of a name for `lifetime`, or until one of them is doubted: a failover may have moved the name.
/// Thread-safe.
class Endpoints {
public:
    using Clock = Deadline::Clock;
    static constexpr std::chrono::seconds lifetime{30};

    /// Those alone that are told: see move_to().
    Endpoints() = default;
    explicit Endpoints(Endpoint endpoint, Resolver::Function resolve = {}) {
        if (!endpoint.path.empty()) {
            known_.push_back({Address::of_path(endpoint.path)});
        } else {
            for (const Address& address : Address::of_host(endpoint.host, endpoint.port, AI_NUMERICHOST))
                known_.push_back({address});
        }
        if (known_.empty()) resolver_.emplace(std::move(endpoint), std::move(resolve));
    }

    /// Where no new look-up succeeds, what an older one found is better than nothing. With a `loop` it does not wait:
    /// Errc::busy while a look-up goes on, after which the loop is woken; `found` is then what an older one found. Throws as
    /// Resolver::look_up.
    std::error_code find(std::vector<Address>& found, const Deadline& deadline, Loop* loop = nullptr) {
        std::unique_lock lock{mutex_};
        std::error_code error = Errc::unresolved;
        if (resolver_ && Clock::now() >= fresh_until_) {
            const auto share = known_.empty() ? deadline : deadline.share(2);
            lock.unlock();
            Resolver::Found fresh;
            if (loop != nullptr && !loop->wakeup->open()) return Errc::no_memory;
            error = resolver_->look_up(fresh, share, lifetime, loop != nullptr ? loop->wakeup : nullptr);
            if (!error && fresh.addresses.empty()) error = Errc::unresolved;
            if (!error) learn(fresh.addresses, fresh.at);
            lock.lock();
        }
        found.clear();
        for (const Known& known : known_) found.push_back(known.address);
        return found.empty() || error == Errc::busy ? error : std::error_code{};
    }

    /// It served a call.
    void prefer(const Address& address) {
        const std::lock_guard lock{mutex_};
        const auto it = position(address);
        if (it == known_.end()) return;
        it->doubted = never;
        std::rotate(known_.begin(), it, it + 1);
    }

    /// It could not be reached, or did not answer.
    void doubt(const Address& address, Clock::time_point now = Clock::now()) {
        const std::lock_guard lock{mutex_};
        doubt_locked(address, now);
    }

    /// It told so itself, on a connection opened at `opened`, that it cannot serve. All older connections to it are of no
    /// more use; a younger one may lead elsewhere, behind the same address.
    void retire(const Address& address, Clock::time_point opened, Clock::time_point now = Clock::now()) {
        const std::lock_guard lock{mutex_};
        const auto known = position(address);
        if (known == known_.end() || known->retired > opened) return;
        known->retired = now;
        doubt_locked(address, now);
        retirements_.fetch_add(1, std::memory_order_release);
    }

    /// Changes whenever an address is retired, so that it costs little to see that none was.
    std::uint64_t retirements() const noexcept { return retirements_.load(std::memory_order_acquire); }
    bool is_retired(const Address& address, Clock::time_point opened) {
        const std::lock_guard lock{mutex_};
        const auto it = position(address);
        return it == known_.end() || it->retired > opened;
    }

    /// What a look-up found. Known doubts stay.
    void learn(const std::vector<Address>& addresses, Clock::time_point at) {
        const std::lock_guard lock{mutex_};
        std::vector<Known> fresh;
        for (const Known& known : known_) {
            if (std::find(addresses.begin(), addresses.end(), known.address) != addresses.end()) fresh.push_back(known);
        }
        for (const Address& address : addresses) {
            const bool is_known =
                std::any_of(fresh.begin(), fresh.end(), [&](const Known& known) { return known.address == address; });
            if (!is_known) fresh.push_back({address});
        }
        known_ = std::move(fresh);
        sort();
        fresh_until_ = at + lifetime;
    }

    /// These alone are right from now on: connections to others are of no more use.
    void move_to(const std::vector<Address>& addresses, Clock::time_point now = Clock::now()) {
        const auto is_right = [&](const Known& known) {
            return std::find(addresses.begin(), addresses.end(), known.address) != addresses.end();
        };
        bool is_move = false;
        {
            const std::lock_guard lock{mutex_};
            is_move = !std::all_of(known_.begin(), known_.end(), is_right);
        }
        learn(addresses, now);
        if (is_move) retirements_.fetch_add(1, std::memory_order_release);
    }

private:
    static constexpr Clock::time_point never{};
    struct Known {
        Address address{};
        Clock::time_point doubted = never;
        Clock::time_point retired = never;
    };

    std::vector<Known>::iterator position(const Address& address) {
        return std::find_if(known_.begin(), known_.end(), [&](const Known& known) { return known.address == address; });
    }
    void doubt_locked(const Address& address, Clock::time_point now) {
        fresh_until_ = never;
        if (const auto it = position(address); it != known_.end()) it->doubted = now;
        sort();
    }
    void sort() {
        std::stable_sort(known_.begin(), known_.end(),
                         [](const Known& a, const Known& b) { return a.doubted < b.doubted; });
    }

    std::optional<Resolver> resolver_{};  // of an endpoint that has a name
    std::mutex mutex_{};
    std::vector<Known> known_{};
    Clock::time_point fresh_until_ = never;
    std::atomic<std::uint64_t> retirements_{0};
};

}  // namespace sluice::detail::remote

#endif
