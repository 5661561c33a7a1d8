// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_CONNECTION_HPP
#define SLUICE_REDIS_LINK_CONNECTION_HPP

#include <cstddef>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/redis/link/connection_record.hpp>
#include <sluice/redis/link/server.hpp>
#include <sluice/redis/link/transport.hpp>
#include <sluice/redis/wire/call_set.hpp>
#include <sluice/redis/wire/exchange.hpp>
#include <sluice/redis/wire/login.hpp>
#include <sluice/redis/wire/sentinel.hpp>
#include <sluice/remote/address.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/remote/stream.hpp>

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
        if (begin(calls, deadline)) {
            try {
                error_ = transport_.drive(exchange_, deadline);
            } catch (...) {
                break_off();
            }
        }
        return end(deadline);
    }

    // The same in steps, for one thread that has several connections to attend to:
    //     if (c.begin(calls, deadline)) while (!c.advance()) ... wait until it can be read or written, as c.wanted() says
    //     outcome = c.end(deadline);

    /// Dials if it has to, and writes. False where that was all.
    bool begin(CallSet& calls, const Deadline& deadline) noexcept {
        asked_ = Clock::now();
        error_.clear();
        ended_.reset();
        try {
            try_begin(calls, deadline);
        } catch (...) {
            break_off();
        }
        return !ended_ && !error_;
    }

    /// All that can be done without waiting. True when nothing is left to do.
    bool advance() noexcept {
        try {
            return try_advance();
        } catch (...) {
            break_off();
            return true;
        }
    }
    detail::remote::Stream::Status wanted() const noexcept { return wanted_; }
    int descriptor() const noexcept { return transport_.descriptor(); }

    /// Every call is answered afterwards; what has not been answered by now has no time left.
    Outcome end(const Deadline& deadline) noexcept {
        try {
            if (!ended_) {
                if (!error_ && exchange_.want() != Exchange::Want::done) error_ = Errc::timeout;
                ended_ = record_.conclude(exchange_, error_, asked_, sent_, deadline);
            }
        } catch (...) {
            break_off();
        }
        if (ended_->is_over) close();
        return *ended_;
    }

    /// For what is not made of calls, used as a Login: dials if it has to, and returns when the protocol is done; after an
    /// error it is closed. May throw std::bad_alloc.
    template <class Protocol>
    std::error_code ask(Protocol& protocol, const Deadline& deadline) {
        if (!is_open()) {
            if (const auto error = dial(deadline)) return error;
        }
        const auto error = transport_.drive(protocol, deadline);
        if (error) {
            close();
            record_.server().endpoints.doubt(record_.address());
        }
        return error;
    }
    bool is_stale() noexcept { return !is_open() || transport_.stream().is_stale(); }

private:
    using Clock = Deadline::Clock;

    void try_begin(CallSet& calls, const Deadline& deadline) {
        exchange_.begin(calls);
        if (is_open()) record_.server().recheck(deadline);
        if (is_open() && !record_.is_trusted(transport_.stream())) close();
        const bool is_new = !is_open();
        if (is_new && !dial_or_end(deadline)) return;
        sent_ = Clock::now();
        if (record_.is_too_late(deadline.at() - sent_)) {
            exchange_.fail(Errc::timeout);
            ended_.emplace();
            return;
        }
        error_ = send(deadline);
        if (error_ && exchange_.is_unsent() && !is_new && error_ != Errc::timeout) {
            close();
            if (dial_or_end(deadline)) error_ = send(deadline);
        }
    }
    bool dial_or_end(const Deadline& deadline) {
        const auto error = dial(deadline);
        if (error) {
            exchange_.fail(error);
            ended_ = ConnectionRecord::could_not_dial(error, asked_, deadline);
        }
        return !error;
    }
    std::error_code send(const Deadline& deadline) {
        std::size_t count = 0;
        const auto error = transport_.stream().write(exchange_.output(), deadline, count);
        exchange_.sent(count);
        return error;
    }

    bool try_advance() {
        using Status = detail::remote::Stream::Status;
        if (error_) return true;
        const Status status = transport_.try_drive(exchange_, error_);
        if (status == Status::wants_read || status == Status::wants_write) wanted_ = status;
        return status == Status::done || error_;
    }

    /// There is no memory left to go on with.
    void break_off() noexcept {
        close();
        exchange_.fail(Errc::no_memory);
        ended_.emplace();
    }

    /// Tries the addresses one after another, each with its share of the time that is left.
    std::error_code dial(const Deadline& deadline) {
        Server& server = record_.server();
        Counters::add(server.counters.dials, 1);
        if (const auto error = server.find(addresses_, host_, deadline)) return error;
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
        if (const auto error = transport_.connect(record_.address(), server.tls(), host_, deadline)) return error;
        exchange_.reset();
        Login login{who, server.url.database};
        if (const auto error = transport_.drive(login, deadline)) return error;
        return server.is_named_by_sentinels() ? check_role(deadline) : std::error_code{};
    }
    /// A server that was a master when the sentinels looked.
    std::error_code check_role(const Deadline& deadline) {
        RoleQuery role;
        const auto error = transport_.drive(role, deadline);
        return error ? error : role.result();
    }

    ConnectionRecord record_;
    Transport transport_;
    Exchange exchange_;
    // Of the exchange that is under way.
    Clock::time_point asked_{}, sent_{};
    std::error_code error_{};
    std::optional<Outcome> ended_{};
    detail::remote::Stream::Status wanted_ = detail::remote::Stream::Status::wants_read;
    std::vector<detail::remote::Address> addresses_;
    std::string host_;
};

}  // namespace sluice::detail::redis

#endif
