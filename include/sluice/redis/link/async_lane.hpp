// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_ASYNC_LANE_HPP
#define SLUICE_REDIS_LINK_ASYNC_LANE_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include <sluice/error.hpp>
#include <sluice/redis/link/async_call.hpp>
#include <sluice/redis/link/connection_record.hpp>
#include <sluice/redis/link/dial.hpp>
#include <sluice/redis/link/server.hpp>
#include <sluice/redis/wire/call_set.hpp>
#include <sluice/redis/wire/encoded_keys.hpp>
#include <sluice/redis/wire/exchange.hpp>
#include <sluice/remote/breaker.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/remote/loop.hpp>
#include <sluice/remote/watch.hpp>

namespace sluice::detail::redis {

/// A connection of an event loop, and the calls that are on their way on it. Never blocks, see Dial. One on which something
/// went wrong is never used again. All but the const functions may throw std::bad_alloc, after which close() is due.
class AsyncLane {
public:
    using Deadline = detail::remote::Deadline;
    using Clock = Deadline::Clock;
    using Permit = detail::remote::Breaker::Permit;
    enum class Stage : std::uint8_t { closed, dialling, idle, exchanging };

    /// Of one exchange: as many as a loop serves in a millisecond or two.
    static constexpr std::size_t max_decisions = 512;

    AsyncLane(Server& server, detail::remote::Loop& loop) : dial_(server, &loop) {}

    AsyncCallList sent{};
    Permit permit = Permit::normal;  ///< of the attempt that is under way
    Clock::time_point rests_until{};

    Stage stage() const noexcept {
        if (dial_.is_open()) return is_exchanging_ ? Stage::exchanging : Stage::idle;
        return dial_.is_under_way() ? Stage::dialling : Stage::closed;
    }
    bool is_open() const noexcept { return dial_.is_open(); }

    /// How the last dial or exchange ended, once; nothing while it goes on.
    struct Ending {
        std::error_code error{};  ///< of a dial
        detail::remote::Outcome outcome{};
        bool was_dial = false;
        bool is_unsent = false;  ///< an old connection was broken before a byte had left: dial, and try again
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

    /// Takes calls off the front of `waiting` to be sent together. Those that need not or cannot be sent get an
    /// `answer(call, why)`.
    template <class Answer>
    void take(AsyncCallList& waiting, EncodedKeys& scratch, Answer answer) noexcept {
        calls_.clear();
        const auto now = Clock::now();
        // With less time than this it would be charged, but not be answered in time.
        const auto round_trip = dial_.record().round_trip();
        bool any_late = false;
        while (!waiting.empty() && calls_.decisions() < max_decisions) {
            AsyncCall& call = *waiting.pop_front();
            if (call.is_abandoned()) {
                answer(call, Errc::cancelled);
            } else if (call.deadline - now <= round_trip) {
                any_late = true;
                answer(call, Errc::timeout);
            } else if (const auto error = encode(call, scratch)) {
                answer(call, error);
            } else {
                sent.push_back(call);
            }
        }
        if (any_late) dial_.record().is_too_late(std::chrono::nanoseconds{0});
    }
    /// Sends them on a usable connection.
    void begin(std::chrono::nanoseconds timeout) {
        deadline_ = Deadline{sent.back().deadline - timeout, timeout};
        began_ = Clock::now();
        if (is_new_) exchange_.reset();
        exchange_.begin(calls_);
        is_exchanging_ = true;
        go_on();
    }
    /// After the exchange: makes the answers theirs.
    void decode_to(AsyncCallList& answered) noexcept {
        while (!sent.empty()) {
            AsyncCall& call = *sent.pop_front();
            call.decode(calls_);
            answered.push_back(call);
        }
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
    std::error_code encode(AsyncCall& call, EncodedKeys& scratch) noexcept {
        try {
            return call.encode(scratch, calls_);
        } catch (const std::bad_alloc&) {
            return Errc::no_memory;
        }
    }

    void dialled() {
        const auto result = dial_.take_result();
        if (!result) return;
        ending_ = Ending{.error = *result, .was_dial = true};
        if (*result) ending_->outcome = ConnectionRecord::could_not_dial(*result, began_, deadline_);
        is_new_ = true;
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
