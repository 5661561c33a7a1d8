// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_CONNECTION_HPP
#define SLUICE_REDIS_LINK_CONNECTION_HPP

#include <system_error>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/redis/link/connection_record.hpp>
#include <sluice/redis/link/server.hpp>
#include <sluice/redis/link/transport.hpp>
#include <sluice/redis/wire/call_set.hpp>
#include <sluice/redis/wire/exchange.hpp>
#include <sluice/redis/wire/login.hpp>
#include <sluice/remote/address.hpp>
#include <sluice/remote/deadline.hpp>

namespace sluice::detail::redis {

/// One connection to the server: dialled when needed, given up at the first error. A connection on which something went
/// wrong is never used again, so that a reply that comes late is never taken for another request's. One thread
/// at a time.
class Connection {
public:
    using Deadline = detail::remote::Deadline;
    using Outcome = ConnectionRecord::Outcome;

    explicit Connection(Server& server) : record_(server) {}

    bool is_open() const noexcept { return transport_.is_open(); }
    void close() noexcept { transport_.close(); }
    void abandon() noexcept { transport_.abandon(); }  ///< in a forked child

    /// Every call is answered afterwards, by values or by an error.
    Outcome perform(CallSet& calls, const Deadline& deadline) noexcept {
        try {
            const Outcome outcome = try_perform(calls, deadline);
            if (outcome.is_over) close();
            return outcome;
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
        if (is_open() && !record_.is_trusted(transport_.stream())) close();
        const bool is_new = !is_open();
        if (is_new) {
            if (const auto error = dial(deadline)) return record_.could_not_dial(exchange_, error, asked, deadline);
        }
        const auto start = Clock::now();
        if (record_.is_too_late(deadline.at() - start)) {
            exchange_.fail(Errc::timeout);
            return {};
        }
        auto error = transport_.drive(exchange_, deadline);
        if (error && exchange_.is_unsent() && !is_new && error != Errc::timeout) {
            close();
            if (const auto failed = dial(deadline)) return record_.could_not_dial(exchange_, failed, asked, deadline);
            error = transport_.drive(exchange_, deadline);
        }
        return record_.conclude(exchange_, error, asked, start, deadline);
    }

    /// Tries the addresses one after another, each with its share of the time that is left.
    std::error_code dial(const Deadline& deadline) {
        Server& server = record_.server();
        Counters::add(server.counters.dials, 1);
        if (const auto error = server.endpoints.find(addresses_, deadline)) return error;
        RedisCredentials who;
        if (const auto error = server.find_credentials(who)) return error;
        std::error_code error;
        for (std::size_t i = 0; i != addresses_.size(); ++i) {
            record_.begin_dialling(addresses_[i]);
            error = dial(who, deadline.share(static_cast<int>(addresses_.size() - i)));
            if (!error || error == Errc::no_memory) return error;
            close();
            server.endpoints.doubt(addresses_[i]);
        }
        return error;
    }
    std::error_code dial(const RedisCredentials& who, const Deadline& deadline) {
        const Server& server = record_.server();
        if (const auto error = transport_.connect(record_.address(), server.tls(), server.endpoint.host, deadline))
            return error;
        exchange_.reset();
        Login login{who, server.url.database};
        return transport_.drive(login, deadline);
    }

    ConnectionRecord record_;
    Transport transport_;
    Exchange exchange_;
    std::vector<detail::remote::Address> addresses_;
};

}  // namespace sluice::detail::redis

#endif
