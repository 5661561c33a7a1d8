// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_ASYNC_CONNECTION_HPP
#define SLUICE_REDIS_LINK_ASYNC_CONNECTION_HPP

#include <poll.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>
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
#include <sluice/remote/loop_wakeup.hpp>
#include <sluice/remote/stream.hpp>
#include <sluice/remote/watch.hpp>

namespace sluice::detail::redis {

/// A Connection that never blocks: it says for what it waits and until when, and goes on when told that it happened. As
/// there, one on which something went wrong is never used again. Belongs to one event loop. All but the const functions
/// may throw std::bad_alloc, after which close() is due.
class AsyncConnection {
public:
    using Deadline = detail::remote::Deadline;
    using Clock = Deadline::Clock;
    using Outcome = ConnectionRecord::Outcome;
    enum class Stage : std::uint8_t { closed, resolving, connecting, securing, logging_in, idle, exchanging };

    /// `number` tells it from the others of its loop.
    AsyncConnection(Server& server, std::shared_ptr<detail::remote::LoopWakeup> wakeup, std::size_t number)
        : record_(server), wakeup_(std::move(wakeup)), generation_(std::uint64_t{number} << 48) {}

    Stage stage() const noexcept { return stage_; }
    bool is_dialling() const noexcept { return stage_ > Stage::closed && stage_ < Stage::idle; }
    bool is_open() const noexcept { return stage_ >= Stage::idle; }

    /// How the last dial or exchange ended, once; nothing while it goes on.
    struct Ending {
        std::error_code error{};  ///< of a dial
        Outcome outcome{};
        bool was_dial = false;
        bool is_unsent =
            false;  ///< an old connection turned out to be broken before a byte had left: dial, and try again
    };
    std::optional<Ending> take_ending() noexcept { return std::exchange(ending_, std::nullopt); }

    /// What waits for the descriptor, where one does. A look-up is waited for with the wakeup.
    std::optional<Watch> watch() const noexcept {
        if (stage_ == Stage::closed || stage_ == Stage::idle || ending_) return std::nullopt;
        if (stage_ == Stage::resolving) return Watch{wakeup_->descriptor(), POLLIN, 0};
        return Watch{transport_.descriptor(), waits_for_, generation_};
    }
    /// Whether the descriptor with that Watch::id is open.
    bool has_descriptor(std::uint64_t id) const noexcept { return transport_.is_open() && id == generation_; }
    /// When on_time() is due.
    Clock::time_point due() const noexcept {
        return stage_ == Stage::closed || stage_ == Stage::idle ? Clock::time_point::max() : step_deadline_.at();
    }

    void close() noexcept {
        transport_.close();
        stage_ = Stage::closed;
    }

    void dial(const Deadline& deadline) {
        Counters::add(record_.server().counters.dials, 1);
        deadline_ = deadline;
        began_ = Clock::now();
        resolve();
    }

    /// Whether it is idle and may be used; closes it if it may not.
    bool is_usable() {
        if (stage_ != Stage::idle) return false;
        if (!is_new_ && !record_.is_trusted(transport_.stream())) close();
        return stage_ == Stage::idle;
    }
    /// A call that has no more time than this is not sent: it would be charged, but not be answered in time.
    std::chrono::nanoseconds round_trip() const noexcept { return record_.round_trip(); }
    /// For that reason some were not.
    void note_late() noexcept { record_.is_too_late(std::chrono::nanoseconds{0}); }

    CallSet& calls() noexcept { return calls_; }
    /// Sends calls() on a usable connection.
    void begin(const Deadline& deadline) {
        deadline_ = step_deadline_ = deadline;
        began_ = Clock::now();
        exchange_.begin(calls_);
        stage_ = Stage::exchanging;
        drive(exchange_);
    }

    void on_ready() {
        switch (stage_) {
            case Stage::resolving: resolve(); break;
            case Stage::connecting: connected(transport_.finish_connect()); break;
            case Stage::securing: secure(); break;
            case Stage::logging_in: drive(*login_); break;
            case Stage::exchanging: drive(exchange_); break;
            case Stage::closed:
            case Stage::idle: break;
        }
    }
    void on_time(Clock::time_point now) {
        if (now < due() || ending_) return;
        if (stage_ == Stage::resolving && !addresses_.empty()) {
            begin_dialling();  // what an older look-up found is better than nothing
        } else if (stage_ == Stage::exchanging) {
            finish(Errc::timeout);
        } else if (stage_ == Stage::resolving) {
            end_dial(Errc::timeout);
        } else {
            try_next_address(Errc::timeout);
        }
    }

private:
    using Stream = detail::remote::Stream;

    void resolve() {
        stage_ = Stage::resolving;
        if (!wakeup_->open()) return end_dial(Errc::no_memory);
        const auto error = record_.server().endpoints.try_find(addresses_, wakeup_);
        if (error == Errc::busy) {
            step_deadline_ = addresses_.empty() ? deadline_ : Deadline{deadline_.start(), deadline_.budget() / 2};
        } else if (error) {
            end_dial(error);
        } else {
            begin_dialling();
        }
    }
    void begin_dialling() {
        if (const auto error = record_.server().find_credentials(who_)) return end_dial(error);
        next_address_ = 0;
        dial_next();
    }
    void dial_next() {
        step_deadline_ = deadline_.share(static_cast<int>(addresses_.size() - next_address_));
        record_.begin_dialling(addresses_[next_address_++]);
        stage_ = Stage::connecting;
        ++generation_;
        waits_for_ = POLLOUT;
        const auto error = transport_.begin_connect(record_.address());
        if (error != Errc::busy) connected(error);
    }
    void connected(std::error_code error) {
        if (error) return try_next_address(error);
        const Server& server = record_.server();
        if (const auto failed = transport_.secure(server.tls(), server.endpoint.host)) return end_dial(failed);
        exchange_.reset();
        stage_ = Stage::securing;
        secure();
    }
    void secure() {
        const auto status = transport_.try_handshake();
        if (status == Stream::Status::closed) return try_next_address(transport_.stream().failure());
        if (status != Stream::Status::done) return wait_for(status);
        stage_ = Stage::logging_in;
        login_.emplace(who_, record_.server().url.database);
        drive(*login_);
    }
    void wait_for(Stream::Status status) noexcept {
        waits_for_ = status == Stream::Status::wants_read ? POLLIN : POLLOUT;
    }
    void try_next_address(std::error_code error) {
        close();
        if (error == Errc::no_memory) return end_dial(error);
        record_.server().endpoints.doubt(record_.address());
        if (next_address_ == addresses_.size() || deadline_.has_passed()) return end_dial(error);
        dial_next();
    }

    void end_dial(std::error_code error) {
        Ending ending{.error = error, .was_dial = true};
        if (error) {
            ending.outcome = ConnectionRecord::could_not_dial(error, began_, deadline_);
            close();
        } else {
            stage_ = Stage::idle;
            is_new_ = true;
        }
        ending_ = ending;
    }

    /// An Exchange or a Login.
    template <class Protocol>
    void drive(Protocol& protocol) {
        std::error_code error;
        const auto status = transport_.try_drive(protocol, error);
        if (error || status == Stream::Status::done) return finish(error);
        wait_for(status);
    }

    void finish(std::error_code error) {
        if (stage_ == Stage::logging_in) return error ? try_next_address(error) : end_dial({});
        Ending ending;
        ending.is_unsent = error && error != Errc::timeout && exchange_.is_unsent() && !is_new_;
        if (ending.is_unsent) {
            close();
        } else {
            ending.outcome = record_.conclude(exchange_, error, began_, began_, deadline_);
            stage_ = Stage::idle;
            is_new_ = false;
            if (ending.outcome.is_over) close();
        }
        ending_ = ending;
    }

    ConnectionRecord record_;
    std::shared_ptr<detail::remote::LoopWakeup> wakeup_;
    Transport transport_;
    Stage stage_ = Stage::closed;
    bool is_new_ = false;  // nothing has been sent on it
    short waits_for_ = 0;
    std::uint64_t generation_;  // of the descriptor
    Deadline deadline_{std::chrono::nanoseconds{0}};
    Deadline step_deadline_{std::chrono::nanoseconds{0}};
    Clock::time_point began_{};
    std::optional<Ending> ending_;

    std::vector<detail::remote::Address> addresses_;
    std::size_t next_address_ = 0;
    RedisCredentials who_;
    std::optional<Login> login_;
    CallSet calls_;
    Exchange exchange_;
};

}  // namespace sluice::detail::redis

#endif
