// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_ASYNC_SENTINELS_HPP
#define SLUICE_REDIS_LINK_ASYNC_SENTINELS_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <poll.h>

#include <sluice/error.hpp>
#include <sluice/redis/link/async_context.hpp>
#include <sluice/redis/link/async_query.hpp>
#include <sluice/redis/link/sentinel_round.hpp>
#include <sluice/redis/wire/host_port.hpp>
#include <sluice/redis/wire/sentinel.hpp>
#include <sluice/remote/address.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/remote/endpoints.hpp>
#include <sluice/remote/watch.hpp>

namespace sluice::detail::redis {

/// Sentinels, for an event loop: finds out from them which server is the master, and what its addresses are. One round of
/// questions at a time. All but the const functions may throw std::bad_alloc, after which abandon() is due.
class AsyncSentinels {
public:
    using Deadline = detail::remote::Deadline;
    using Clock = Deadline::Clock;

    explicit AsyncSentinels(AsyncContext& context) : context_(context), servers_(context.url, context.options) {}

    struct Found {
        std::error_code error{};
        std::vector<detail::remote::Address> addresses{};
        std::string host{};
    };

    bool is_asking() const noexcept { return round_.has_value(); }
    /// Whether it is time to ask again, though no connection has failed.
    bool is_due(Clock::time_point now) const noexcept {
        return !is_asking() && now - asked_at_ > context_.options.sentinel.recheck;
    }
    /// Whether nobody has asked for so long that the answer has to be waited for.
    bool holds_up(Clock::time_point now) const noexcept {
        return is_asking() && now - asked_at_ > 2 * context_.options.sentinel.recheck;
    }

    /// Begins a round, where none is under way.
    void begin(const Deadline& deadline) {
        if (is_asking()) return;
        deadline_ = deadline;
        found_ = {};
        result_.reset();
        round_.emplace(servers_.size(), good_, deadline);
        asks_connected_ = query_ != nullptr && query_->is_usable();
        if (asks_connected_) {
            query_->begin(round_->time_of_connected(), context_.url.master);
        } else {
            ask_next();
        }
        go_on();
    }
    /// How that ended, once; nothing while it goes on.
    std::optional<Found> take_result() noexcept { return std::exchange(result_, std::nullopt); }
    void abandon() noexcept {
        query_.reset();
        round_.reset();
        is_resolving_ = false;
    }

    std::optional<Watch> watch() const noexcept {
        if (is_resolving_) return Watch{context_.wakeup->descriptor(), POLLIN, 0};
        return is_asking() ? query_->watch() : std::nullopt;
    }
    Clock::time_point due() const noexcept {
        if (!is_asking()) return Clock::time_point::max();
        return is_resolving_ ? deadline_.at() : std::min(query_->due(), deadline_.at());
    }
    void process(int fd, Clock::time_point now) {
        if (!is_asking()) return;
        if (is_resolving_) {
            if (fd >= 0 && fd == context_.wakeup->descriptor()) resolve();
        } else {
            query_->process(fd, now);
            go_on();
        }
        if (is_asking() && now >= deadline_.at()) {
            query_.reset();
            end(found_.addresses.empty() ? make_error_code(Errc::timeout) : std::error_code{});
        }
    }

private:
    void ask_next() {
        query_ = std::make_unique<AsyncQuery<MasterQuery>>(servers_[round_->next()], context_);
        query_->begin(round_->time_of_next(), context_.url.master);
    }
    /// As far as it gets.
    void go_on() {
        while (is_asking() && !is_resolving_) {
            const auto ended = query_->take_result();
            if (!ended) return;
            HostPort master;
            const auto error = SentinelServers::read(*ended, query_->protocol(), master);
            if (!error) {
                if (!asks_connected_) good_ = round_->next();
                return found(master);
            }
            if (std::exchange(asks_connected_, false)) {
                round_->connected_failed(error);
            } else {
                round_->next_failed(error);
            }
            query_.reset();
            if (!round_->has_next()) return end(round_->error());
            ask_next();
        }
    }

    /// Sentinels may tell host names, too.
    void found(const HostPort& master) {
        if (!endpoints_ || master_ != master) {
            endpoints_ = std::make_unique<detail::remote::Endpoints>(
                detail::remote::Endpoint{master.host, master.port, {}}, context_.options.resolve);
            master_ = master;
        }
        found_.host = master.host;
        resolve();
    }
    void resolve() {
        if (!endpoints_->is_fixed() && !context_.wakeup->open()) return end(Errc::no_memory);
        const auto error = endpoints_->try_find(found_.addresses, context_.wakeup);
        is_resolving_ = error == Errc::busy;
        if (!is_resolving_) end(error);
    }
    void end(const std::error_code& error) {
        round_.reset();
        is_resolving_ = false;
        asked_at_ = Clock::now();
        found_.error = error;
        result_ = std::move(found_);
    }

    AsyncContext& context_;
    SentinelServers servers_;
    std::optional<SentinelRound> round_{};
    Deadline deadline_{std::chrono::nanoseconds{0}};
    std::unique_ptr<AsyncQuery<MasterQuery>> query_{};  // kept from round to round, to the one that answered last
    bool asks_connected_ = false;
    std::size_t good_ = 0;  // the one that answered last
    bool is_resolving_ = false;
    Found found_{};
    std::optional<Found> result_{};
    HostPort master_{};
    std::unique_ptr<detail::remote::Endpoints> endpoints_{};
    Clock::time_point asked_at_{};
};

}  // namespace sluice::detail::redis

#endif
