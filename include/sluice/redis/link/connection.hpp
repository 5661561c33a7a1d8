// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_CONNECTION_HPP
#define SLUICE_REDIS_LINK_CONNECTION_HPP

#include <cstddef>
#include <optional>
#include <string>
#include <system_error>

#include <sluice/error.hpp>
#include <sluice/redis/link/connection_record.hpp>
#include <sluice/redis/link/dial.hpp>
#include <sluice/redis/link/server.hpp>
#include <sluice/redis/wire/call_set.hpp>
#include <sluice/redis/wire/exchange.hpp>
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

    explicit Connection(Server& server) : dial_(server, nullptr) {}

    bool is_open() const noexcept { return dial_.transport().is_open(); }  ///< for any thread
    void abandon() noexcept { dial_.transport().abandon(); }               ///< in a forked child

    /// Every call is answered afterwards, by values or by an error.
    Outcome perform(CallSet& calls, const Deadline& deadline) noexcept {
        if (begin(calls, deadline)) {
            try {
                error_ = dial_.transport().drive(exchange_, deadline);
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
    int descriptor() const noexcept { return dial_.transport().descriptor(); }

    /// Every call is answered afterwards; what has not been answered by now has no time left.
    Outcome end(const Deadline& deadline) noexcept {
        try {
            if (!ended_) {
                if (!error_ && exchange_.want() != Exchange::Want::done) error_ = Errc::timeout;
                ended_ = dial_.record().conclude(exchange_, error_, asked_, sent_, deadline);
            }
        } catch (...) {
            break_off();
        }
        if (ended_->is_over) dial_.close();
        return *ended_;
    }

private:
    using Clock = Deadline::Clock;

    void try_begin(CallSet& calls, const Deadline& deadline) {
        auto& record = dial_.record();
        exchange_.begin(calls);
        if (is_open()) record.server().recheck(deadline);
        if (is_open() && !record.is_trusted(dial_.stream())) dial_.close();
        const bool is_new = !is_open();
        if (is_new && !dial_or_end(deadline)) return;
        sent_ = Clock::now();
        if (record.is_too_late(deadline.at() - sent_)) {
            exchange_.fail(Errc::timeout);
            ended_.emplace();
            return;
        }
        error_ = send(deadline);
        if (error_ && exchange_.is_unsent() && !is_new && error_ != Errc::timeout) {
            dial_.close();
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
        const auto error = dial_.stream().write(exchange_.output(), deadline, count);
        exchange_.sent(count);
        return error;
    }

    bool try_advance() {
        using Status = detail::remote::Stream::Status;
        if (error_) return true;
        const Status status = dial_.transport().try_drive(exchange_, error_);
        if (status == Status::wants_read || status == Status::wants_write) wanted_ = status;
        return status == Status::done || error_;
    }

    /// There is no memory left to go on with.
    void break_off() noexcept {
        dial_.close();
        exchange_.fail(Errc::no_memory);
        ended_.emplace();
    }

    std::error_code dial(const Deadline& deadline) {
        dial_.begin(deadline);
        if (dial_.stage() == Dial::Stage::locating) {
            std::string host;
            const auto error = dial_.record().server().locate(host, deadline);
            dial_.located(error, host);
        }
        const std::error_code error = await(dial_);
        if (!error) exchange_.reset();
        return error;
    }

    Dial dial_;
    Exchange exchange_;
    // Of the exchange that is under way.
    Clock::time_point asked_{}, sent_{};
    std::error_code error_{};
    std::optional<Outcome> ended_{};
    detail::remote::Stream::Status wanted_ = detail::remote::Stream::Status::wants_read;
};

}  // namespace sluice::detail::redis

#endif
