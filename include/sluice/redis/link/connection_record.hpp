// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_CONNECTION_RECORD_HPP
#define SLUICE_REDIS_LINK_CONNECTION_RECORD_HPP

#include <chrono>
#include <cstdint>
#include <system_error>

#include <sluice/error.hpp>
#include <sluice/redis/link/server.hpp>
#include <sluice/redis/redis_stats.hpp>
#include <sluice/redis/wire/errors.hpp>
#include <sluice/redis/wire/exchange.hpp>
#include <sluice/remote/address.hpp>
#include <sluice/remote/breaker.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/remote/lanes.hpp>
#include <sluice/remote/stream.hpp>

namespace sluice::detail::redis {

/// What is remembered of a connection, and what follows from how an exchange on it went, for the breaker, the address and
/// the statistics: the same for blocking and for event-driven clients. Does no input and output. One thread at a time.
class ConnectionRecord {
public:
    using Deadline = detail::remote::Deadline;
    using Clock = Deadline::Clock;
    using Evidence = detail::remote::Breaker::Evidence;

    using Outcome = detail::remote::Outcome;

    explicit ConnectionRecord(Server& server) noexcept : server_(server) {}

    Server& server() const noexcept { return server_; }
    const detail::remote::Address& address() const noexcept { return address_; }

    void begin_dialling(const detail::remote::Address& address) noexcept {
        address_ = address;
        opened_ = Clock::now();
        retirements_ = server_.endpoints.retirements();
        has_served_ = false;
    }

    /// Whether an idle connection may be used again.
    bool is_trusted(detail::remote::Stream& stream, Clock::time_point now = Clock::now()) {
        const auto idle = now - last_used_;
        if (idle > server_.options.max_idle) return false;
        if (idle > std::chrono::milliseconds{5} && stream.is_stale()) return false;
        const auto retirements = server_.endpoints.retirements();
        if (retirements == retirements_) return true;
        retirements_ = retirements;
        return !server_.endpoints.is_retired(address_, opened_);
    }

    /// What is sent now would be charged, but not be answered in time.
    bool is_too_late(std::chrono::nanoseconds left) noexcept {
        if (left > round_trip_) return false;
        round_trip_ -= round_trip_ / 4;  // should it have been an exception, or else nothing would be sent any more
        return true;
    }
    /// Of the last exchange, or somewhat less.
    std::chrono::nanoseconds round_trip() const noexcept { return round_trip_; }

    /// The calls of an exchange that began at `asked` and was sent at `sent` are answered afterwards, by values or by an
    /// error; `error` is what ended it before it was done.
    Outcome conclude(Exchange& exchange, std::error_code error, Clock::time_point asked, Clock::time_point sent,
                     const Deadline& deadline) {
        last_used_ = Clock::now();
        auto& counters = server_.counters;
        Counters::add(counters.scripts, exchange.scripts());
        Counters::add(counters.decisions, exchange.decisions());
        const auto& trouble = exchange.trouble();
        if (error) {
            exchange.fail(error);
        } else {
            round_trip_ = last_used_ - sent;
            Counters::add(counters.round_trips, 1);
        }
        if (error || (trouble && trouble->concerns >= ErrorReply::Concerns::connection)) {
            if (trouble && trouble->concerns == ErrorReply::Concerns::endpoint) {
                server_.endpoints.retire(address_, opened_);
            } else {
                server_.endpoints.doubt(address_);
            }
            return {trouble ? Evidence::failure : evidence_of(error, asked, deadline), !has_served_, true};
        }
        if (!has_served_) server_.endpoints.prefer(address_);
        has_served_ = true;
        if (trouble) return {Evidence::failure};
        return {round_trip_ > deadline.budget() / 2 ? Evidence::slow_answer : Evidence::answer};
    }

    /// The same where no connection came about, of an exchange or none.
    static Outcome could_not_dial(std::error_code error, Clock::time_point asked, const Deadline& deadline) {
        return {evidence_of(error, asked, deadline), true, true};
    }

private:
    /// A server that was given less than half of the time is not silent. Nor does it fail where this process lacks memory
    /// or descriptors, or where the program has to be changed, which has to show in every answer.
    static Evidence evidence_of(std::error_code error, Clock::time_point asked, const Deadline& deadline) {
        const bool is_short = error == Errc::timeout && deadline.at() - asked < deadline.budget() / 2;
        const bool is_ours = error == Errc::no_memory || error == Errc::misconfigured;
        return is_short || is_ours ? Evidence::nothing : Evidence::failure;
    }

    Server& server_;
    detail::remote::Address address_{};
    Clock::time_point opened_{};
    bool has_served_ = false;
    Clock::time_point last_used_{};
    std::uint64_t retirements_ = 0;  // that were known when it was last looked whether ours is among them
    std::chrono::nanoseconds round_trip_{0};
};

}  // namespace sluice::detail::redis

#endif
