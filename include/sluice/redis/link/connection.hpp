// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_CONNECTION_HPP
#define SLUICE_REDIS_LINK_CONNECTION_HPP

#include <array>
#include <chrono>
#include <cstdint>
#include <system_error>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/redis/link/server.hpp>
#include <sluice/redis/wire/call_set.hpp>
#include <sluice/redis/wire/errors.hpp>
#include <sluice/redis/wire/exchange.hpp>
#include <sluice/redis/wire/login.hpp>
#include <sluice/remote/address.hpp>
#include <sluice/remote/breaker.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/remote/socket_stream.hpp>

namespace sluice::detail::redis {

/// One connection to the server: dialled when needed, given up at the first error. A connection on which something went
/// wrong is never used again, so that a reply that comes late is never taken for another request's. One thread
/// at a time.
class Connection {
public:
    using Deadline = detail::remote::Deadline;
    using Evidence = detail::remote::Breaker::Evidence;

    struct Outcome {
        Evidence evidence = Evidence::nothing;
        bool is_useless = false;  ///< it could not be dialled, or what was dialled did not serve
    };

    explicit Connection(Server& server) : server_(server) {}

    bool is_open() const noexcept { return stream_.is_open(); }
    void close() noexcept { stream_.close(); }

    /// Every call is answered afterwards, by values or by an error.
    Outcome perform(CallSet& calls, const Deadline& deadline) noexcept {
        try {
            return try_perform(calls, deadline);
        } catch (...) {
            close();
            exchange_.fail(Errc::no_memory);
            return {};
        }
    }

private:
    using Clock = Deadline::Clock;

    Outcome try_perform(CallSet& calls, const Deadline& deadline) {
        const auto asked = Clock::now();
        exchange_.begin(calls);
        if (is_open() && !is_trusted()) close();
        const bool is_new = !is_open();
        if (is_new) {
            if (const auto error = dial(deadline)) return could_not_dial(error, asked, deadline);
        }
        const auto start = Clock::now();
        if (is_too_late(deadline.at() - start)) {
            exchange_.fail(Errc::timeout);
            return {};
        }
        auto error = drive(exchange_, deadline);
        if (error && exchange_.is_unsent() && !is_new && error != Errc::timeout) {
            close();
            if (const auto failed = dial(deadline)) return could_not_dial(failed, asked, deadline);
            error = drive(exchange_, deadline);
        }
        last_used_ = Clock::now();
        return conclude(error, asked, start, deadline);
    }

    Outcome conclude(std::error_code error, Clock::time_point asked, Clock::time_point start,
                     const Deadline& deadline) {
        auto& counters = server_.counters;
        Counters::add(counters.scripts, exchange_.scripts());
        Counters::add(counters.decisions, exchange_.decisions());
        const auto& trouble = exchange_.trouble();
        if (error) {
            exchange_.fail(error);
        } else {
            round_trip_ = last_used_ - start;
            Counters::add(counters.round_trips, 1);
        }
        if (error || (trouble && trouble->concerns >= ErrorReply::Concerns::connection)) {
            close();
            if (trouble && trouble->concerns == ErrorReply::Concerns::endpoint) {
                server_.endpoints.retire(address_, opened_);
            } else {
                server_.endpoints.doubt(address_);
            }
            return {trouble ? Evidence::failure : evidence_of(error, asked, deadline), !has_served_};
        }
        if (!has_served_) server_.endpoints.prefer(address_);
        has_served_ = true;
        if (trouble) return {Evidence::failure};
        return {round_trip_ > deadline.budget() / 2 ? Evidence::slow_answer : Evidence::answer};
    }

    Outcome could_not_dial(std::error_code error, Clock::time_point asked, const Deadline& deadline) {
        close();
        exchange_.fail(error);
        return {evidence_of(error, asked, deadline), true};
    }

    /// A server that was given less than half of the time is not silent. Nor does it fail where this process lacks memory
    /// or descriptors, or where the program has to be changed, which has to show in every answer.
    static Evidence evidence_of(std::error_code error, Clock::time_point asked, const Deadline& deadline) {
        const bool is_short = error == Errc::timeout && deadline.at() - asked < deadline.budget() / 2;
        const bool is_ours = error == Errc::no_memory || error == Errc::misconfigured;
        return is_short || is_ours ? Evidence::nothing : Evidence::failure;
    }

    /// What is sent now would be charged, but not be answered in time.
    bool is_too_late(std::chrono::nanoseconds left) noexcept {
        if (left > round_trip_) return false;
        round_trip_ -= round_trip_ / 4;  // should it have been an exception, or else nothing would be sent any more
        return true;
    }

    bool is_trusted() {
        const auto idle = Clock::now() - last_used_;
        if (idle > server_.options.max_idle) return false;
        if (idle > std::chrono::milliseconds{5} && stream_.is_stale()) return false;
        const auto retirements = server_.endpoints.retirements();
        if (retirements == retirements_) return true;
        retirements_ = retirements;
        return !server_.endpoints.is_retired(address_, opened_);
    }

    /// Tries the addresses one after another, each with its share of the time that is left.
    std::error_code dial(const Deadline& deadline) {
        Counters::add(server_.counters.dials, 1);
        if (const auto error = server_.endpoints.find(addresses_, deadline)) return error;
        RedisCredentials who;
        if (const auto error = server_.find_credentials(who)) return error;
        std::error_code error;
        for (std::size_t i = 0; i != addresses_.size(); ++i) {
            address_ = addresses_[i];
            opened_ = Clock::now();
            retirements_ = server_.endpoints.retirements();
            error = dial(who, deadline.share(static_cast<int>(addresses_.size() - i)));
            if (!error || error == Errc::no_memory) return error;
            close();
            server_.endpoints.doubt(address_);
        }
        return error;
    }
    std::error_code dial(const RedisCredentials& who, const Deadline& deadline) {
        if (const auto error = stream_.connect(address_, deadline)) return error;
        exchange_.reset();
        has_served_ = false;
        Login login{who, server_.url.database};
        return drive(login, deadline);
    }

    /// An Exchange or a Login.
    template <class Protocol>
    std::error_code drive(Protocol& protocol, const Deadline& deadline) {
        for (;;) {
            std::size_t count = 0;
            std::error_code error;
            switch (protocol.want()) {
                case Exchange::Want::send:
                    error = stream_.write(protocol.output(), deadline, count);
                    protocol.sent(count);
                    break;
                case Exchange::Want::receive:
                    error = stream_.read(buffer_, deadline, count);
                    if (!error) error = protocol.feed({buffer_.data(), count});
                    break;
                case Exchange::Want::done: return {};
            }
            if (error) return error;
        }
    }

    Server& server_;
    detail::remote::SocketStream stream_;
    Exchange exchange_;
    detail::remote::Address address_{};
    Clock::time_point opened_{};
    bool has_served_ = false;
    Clock::time_point last_used_{};
    std::uint64_t retirements_ = 0;  // that were known when it was last looked whether ours is among them
    std::chrono::nanoseconds round_trip_{0};
    std::vector<detail::remote::Address> addresses_;
    std::array<char, 16'384> buffer_;
};

}  // namespace sluice::detail::redis

#endif
