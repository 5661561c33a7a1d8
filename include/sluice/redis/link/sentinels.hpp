// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_SENTINELS_HPP
#define SLUICE_REDIS_LINK_SENTINELS_HPP

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/redis/link/transport.hpp>
#include <sluice/redis/redis_credentials.hpp>
#include <sluice/redis/redis_options.hpp>
#include <sluice/redis/redis_url.hpp>
#include <sluice/redis/wire/host_port.hpp>
#include <sluice/redis/wire/login.hpp>
#include <sluice/redis/wire/sentinel.hpp>
#include <sluice/remote/address.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/remote/endpoints.hpp>

namespace sluice::detail::redis {

/// Finds out from sentinels which server is the master. They are asked one after another, beginning with the one that
/// answered last, on a connection that is kept to it. Thread-safe.
class Sentinels {
public:
    using Deadline = detail::remote::Deadline;
    using Clock = Deadline::Clock;
    using Address = detail::remote::Address;
    using Endpoint = detail::remote::Endpoint;
    using Endpoints = detail::remote::Endpoints;

    Sentinels(const RedisUrl& url, const RedisOptions& options) : url_(url), options_(options) {
        for (const Endpoint& endpoint : url.endpoints) sentinels_.emplace_back(endpoint, options);
    }

    /// The addresses of the master, and its host as the sentinels call it. Errc::misconfigured where none of them knows a
    /// master of that name. May throw std::bad_alloc.
    std::error_code find(std::vector<Address>& found, std::string& host, const Deadline& deadline) {
        HostPort master;
        const auto error = ask(master, deadline);
        asked_at_.store(Clock::now().time_since_epoch().count(), std::memory_order_relaxed);
        if (error) return error;
        host = master.host;
        return endpoints_of(master)->find(found, deadline);
    }

    /// Whether it is time to ask again, though no connection has failed, and up to the caller: then done_asking() has to
    /// follow. One caller asks for all; the others go on meanwhile, unless nobody has asked for long.
    bool has_to_ask(const Deadline& deadline) {
        const auto pause = options_.sentinel.recheck;
        if (age() <= pause) return false;
        std::unique_lock lock{mutex_};
        if (is_asking_ && age() <= 2 * pause) return false;
        asked_.wait_until(lock, deadline.at(), [&] { return !is_asking_; });
        if (is_asking_ || age() <= pause) return false;
        is_asking_ = true;
        return true;
    }
    void done_asking() noexcept {
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
    struct Sentinel {
        Sentinel(const Endpoint& place, const RedisOptions& options)
            : endpoint(place), endpoints(place, options.resolve) {}
        Endpoint endpoint;
        Endpoints endpoints;
    };

    Clock::duration age() const noexcept {
        return Clock::now().time_since_epoch() - Clock::duration{asked_at_.load(std::memory_order_relaxed)};
    }

    std::error_code ask(HostPort& master, const Deadline& deadline) {
        std::unique_ptr<Transport> transport;
        std::size_t good = 0;
        {
            const std::lock_guard lock{mutex_};
            transport = std::move(kept_);
            good = good_;
        }
        if (transport && !transport->stream().is_stale()) {
            const auto error = ask_on(*transport, master, deadline.share(4));
            if (!error) return keep(std::move(transport), good);
            if (error == Errc::timeout) good = (good + 1) % sentinels_.size();
        }
        transport = std::make_unique<Transport>();
        const Deadline all = deadline.share(2);  // the master has to be dialled, too
        std::error_code worst = Errc::misconfigured;
        for (std::size_t i = 0; i != sentinels_.size(); ++i) {
            const std::size_t which = (good + i) % sentinels_.size();
            const auto error =
                dial_and_ask(sentinels_[which], *transport, master, all.share(static_cast<int>(sentinels_.size() - i)));
            if (!error) return keep(std::move(transport), which);
            transport->close();
            if (error == Errc::no_memory) return error;
            if (error != Errc::misconfigured) worst = error;
        }
        return worst;
    }

    std::error_code dial_and_ask(Sentinel& sentinel, Transport& transport, HostPort& master, const Deadline& deadline) {
        std::vector<Address> addresses;
        if (const auto error = sentinel.endpoints.find(addresses, deadline)) return error;
        std::error_code error;
        for (std::size_t i = 0; i != addresses.size(); ++i) {
            const Deadline share = deadline.share(static_cast<int>(addresses.size() - i));
            error = transport.connect(addresses[i], tls(), sentinel.endpoint.host, share);
            if (!error) error = log_in(transport, share);
            if (!error) error = ask_on(transport, master, share);
            if (!error) {
                sentinel.endpoints.prefer(addresses[i]);
                return {};
            }
            transport.close();
            sentinel.endpoints.doubt(addresses[i]);
        }
        return error;
    }
    std::error_code log_in(Transport& transport, const Deadline& deadline) const {
        RedisCredentials who;
        try {
            if (options_.sentinel.credentials) who = options_.sentinel.credentials();
        } catch (...) {
            return Errc::authentication;
        }
        Login login{who, 0};
        return transport.drive(login, deadline);
    }
    std::error_code ask_on(Transport& transport, HostPort& master, const Deadline& deadline) const {
        MasterQuery query{url_.master};
        if (const auto error = transport.drive(query, deadline)) {
            // A server that is no sentinel.
            return error == Errc::unsupported ? make_error_code(Errc::misconfigured) : error;
        }
        return query.result(master);
    }

    std::error_code keep(std::unique_ptr<Transport> transport, std::size_t which) noexcept {
        const std::lock_guard lock{mutex_};
        kept_ = std::move(transport);
        good_ = which;
        return {};
    }

    const detail::remote::ChannelFactory* tls() const noexcept {
        if (options_.sentinel.tls) return options_.sentinel.tls.get();
        return url_.uses_tls ? options_.tls.get() : nullptr;
    }

    /// Sentinels may tell host names, too.
    std::shared_ptr<Endpoints> endpoints_of(const HostPort& master) {
        const std::lock_guard lock{mutex_};
        if (!endpoints_ || master_ != master) {
            endpoints_ = std::make_shared<Endpoints>(Endpoint{master.host, master.port}, options_.resolve);
            master_ = master;
        }
        return endpoints_;
    }

    const RedisUrl& url_;
    const RedisOptions& options_;
    std::deque<Sentinel> sentinels_;  // does not move what is in it
    std::atomic<Clock::rep> asked_at_{0};
    std::mutex mutex_{};
    std::condition_variable asked_{};
    bool is_asking_ = false;
    std::unique_ptr<Transport> kept_{};
    std::size_t good_ = 0;  // the one that answered last
    HostPort master_{};
    std::shared_ptr<Endpoints> endpoints_{};
};

}  // namespace sluice::detail::redis

#endif
