// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_ASYNC_CONNECTION_HPP
#define SLUICE_REDIS_LINK_ASYNC_CONNECTION_HPP

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include <sluice/error.hpp>
#include <sluice/redis/link/connection_record.hpp>
#include <sluice/redis/link/dial.hpp>
#include <sluice/redis/link/server.hpp>
#include <sluice/redis/wire/call_set.hpp>
#include <sluice/redis/wire/exchange.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/remote/watch.hpp>

namespace sluice::detail::redis {

/// A Connection that never blocks, see Dial. As there, one on which something went wrong is never used again. All but
/// the const functions may throw std::bad_alloc, after which close() is due.
class AsyncConnection {
public:
    using Deadline = Dial::Deadline;
    using Clock = Dial::Clock;
    using Outcome = ConnectionRecord::Outcome;
    enum class Stage : std::uint8_t { closed, dialling, idle, exchanging };

    AsyncConnection(Server& server, Dial::Loop& loop) : dial_(server, &loop) {}

    Stage stage() const noexcept {
        if (dial_.is_open()) return is_exchanging_ ? Stage::exchanging : Stage::idle;
        return dial_.is_under_way() ? Stage::dialling : Stage::closed;
    }
    bool is_dialling() const noexcept { return dial_.is_under_way(); }
    bool is_exchanging() const noexcept { return is_exchanging_; }
    bool is_open() const noexcept { return dial_.is_open(); }

    /// How the last dial or exchange ended, once; nothing while it goes on.
    struct Ending {
        std::error_code error{};  ///< of a dial
        Outcome outcome{};
        bool was_dial = false;
        bool is_unsent =
            false;  ///< an old connection turned out to be broken before a byte had left: dial, and try again
    };
    std::optional<Ending> take_ending() noexcept { return std::exchange(ending_, std::nullopt); }

    std::optional<Watch> watch() const noexcept {
        return is_exchanging_ || dial_.is_under_way() ? dial_.watch() : std::nullopt;
    }
    /// When process() is due though nothing happened.
    Clock::time_point due() const noexcept { return is_exchanging_ ? deadline_.at() : dial_.due(); }

    void close() noexcept {
        dial_.close();
        is_exchanging_ = false;
    }

    void dial(const Deadline& deadline) {
        deadline_ = deadline;
        began_ = Clock::now();
        dial_.begin(deadline);
        dialled();
    }
    bool is_locating() const noexcept { return dial_.stage() == Dial::Stage::locating; }
    /// See Dial.
    void located(const std::error_code& error, const std::string& host) {
        dial_.located(error, host);
        dialled();
    }

    /// Whether it is idle and may be used; closes it if it may not.
    bool is_usable() {
        if (stage() != Stage::idle) return false;
        if (!is_new_ && !dial_.record().is_trusted(dial_.stream())) close();
        return is_open();
    }
    /// A call that has no more time than this is not sent: it would be charged, but not be answered in time.
    std::chrono::nanoseconds round_trip() const noexcept { return dial_.record().round_trip(); }
    /// For that reason some were not.
    void note_late() noexcept { dial_.record().is_too_late(std::chrono::nanoseconds{0}); }

    CallSet& calls() noexcept { return calls_; }
    /// Sends calls() on a usable connection.
    void begin(const Deadline& deadline) {
        deadline_ = deadline;
        began_ = Clock::now();
        if (is_new_) exchange_.reset();
        exchange_.begin(calls_);
        is_exchanging_ = true;
        go_on();
    }

    /// Something happened on `fd`, or nothing (-1): time has passed.
    void process(int fd, Clock::time_point now) {
        if (ending_) return;
        if (dial_.is_under_way()) {
            dial_.process(fd, now);
            dialled();
        } else if (is_exchanging_) {
            if (dial_.is_waiting_for(fd)) go_on();
            if (is_exchanging_ && now >= due()) finish(Errc::timeout);
        }
    }

private:
    void dialled() {
        const auto result = dial_.take_result();
        if (!result) return;
        Ending ending{.error = *result, .was_dial = true};
        if (*result) ending.outcome = ConnectionRecord::could_not_dial(*result, began_, deadline_);
        is_new_ = true;
        ending_ = ending;
    }
    void go_on() {
        if (const auto ended = dial_.drive(exchange_)) finish(*ended);
    }
    void finish(const std::error_code& error) {
        Ending ending;
        ending.is_unsent = error && error != Errc::timeout && exchange_.is_unsent() && !is_new_;
        if (ending.is_unsent) {
            close();
        } else {
            ending.outcome = dial_.record().conclude(exchange_, error, began_, began_, deadline_);
            is_exchanging_ = is_new_ = false;
            if (ending.outcome.is_over) close();
        }
        ending_ = ending;
    }

    Dial dial_;
    bool is_exchanging_ = false;
    bool is_new_ = false;  // nothing has been sent on it
    Deadline deadline_{std::chrono::nanoseconds{0}};
    Clock::time_point began_{};
    std::optional<Ending> ending_{};
    CallSet calls_{};
    Exchange exchange_{};
};

}  // namespace sluice::detail::redis

#endif
