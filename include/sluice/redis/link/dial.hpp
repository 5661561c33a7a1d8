// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_DIAL_HPP
#define SLUICE_REDIS_LINK_DIAL_HPP

#include <poll.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/redis/link/connection_record.hpp>
#include <sluice/redis/link/server.hpp>
#include <sluice/redis/link/transport.hpp>
#include <sluice/redis/wire/login.hpp>
#include <sluice/redis/wire/text_query.hpp>
#include <sluice/remote/address.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/remote/loop.hpp>
#include <sluice/remote/stream.hpp>
#include <sluice/remote/watch.hpp>

namespace sluice::detail::redis {

/// Opens a connection: looks the name up, tries one address after the other, each with its share of the time, with TLS
/// where it is wanted, and logs in. Then protocols are driven on it. With a loop, to which it belongs then, it never blocks:
/// it says for what it waits and until when, and goes on when told that it happened. A thread that has no loop await()s it,
/// and waits at once for what is to be looked up. All but the const functions may throw std::bad_alloc, after which close() is due.
class Dial {
public:
    using Deadline = detail::remote::Deadline;
    using Clock = Deadline::Clock;
    using Loop = detail::remote::Loop;
    enum class Stage : std::uint8_t {
        closed,
        locating,  ///< until located()
        resolving,
        connecting,
        securing,
        logging_in,
        checking_role,
        open,
    };

    Dial(Server& server, Loop* loop) : record_(server), loop_(loop) {}
    Dial(const Dial&) = delete;
    Dial& operator=(const Dial&) = delete;
    ~Dial() { close(); }

    Stage stage() const noexcept { return stage_; }
    bool is_under_way() const noexcept { return stage_ != Stage::closed && stage_ != Stage::open; }
    bool is_open() const noexcept { return stage_ == Stage::open; }
    ConnectionRecord& record() noexcept { return record_; }
    const ConnectionRecord& record() const noexcept { return record_; }
    detail::remote::Stream& stream() noexcept { return transport_.stream(); }
    Transport& transport() noexcept { return transport_; }
    const Transport& transport() const noexcept { return transport_; }

    void close() noexcept {
        transport_.close();
        if (loop_ != nullptr) loop_->ids.close(std::exchange(id_, 0));
        stage_ = Stage::closed;
    }

    void begin(const Deadline& deadline) {
        const Server& server = record_.server();
        Counters::add(server.counters.dials, 1);
        result_.reset();
        deadline_ = step_deadline_ = deadline;
        if (server.is_named_by_sentinels()) {
            stage_ = Stage::locating;
        } else {
            host_ = server.endpoint.host;
            resolve();
        }
    }
    /// The endpoints of the server are known now, those of `host`; or it could not be found out where it is.
    void located(const std::error_code& error, const std::string& host) {
        if (stage_ != Stage::locating) return;
        if (error) return end(error);
        host_ = host;
        resolve();
    }
    /// How that ended, once; nothing while it goes on.
    std::optional<std::error_code> take_result() noexcept { return std::exchange(result_, std::nullopt); }

    /// Goes on with an Exchange, or whatever is used as one, on an open connection; how it ended, or nothing while it waits.
    template <class Protocol>
    std::optional<std::error_code> drive(Protocol& protocol) {
        std::error_code error;
        const auto status = transport_.try_drive(protocol, error);
        if (error || status == Stream::Status::done) return error;
        wait_for(status);
        return std::nullopt;
    }

    /// What it waits for; a look-up ends with the wakeup.
    std::optional<Watch> watch() const noexcept {
        if (stage_ == Stage::closed || stage_ == Stage::locating) return std::nullopt;
        if (stage_ == Stage::resolving) return Watch{loop_->wakeup->descriptor(), POLLIN, 0};
        return Watch{transport_.descriptor(), waits_for_, id_};
    }
    bool is_waiting_for(int fd) const noexcept {
        const auto mine = watch();
        return fd >= 0 && mine && mine->fd == fd;
    }
    /// When a dial that is under way has to be told that time has passed.
    Clock::time_point due() const noexcept { return is_under_way() ? step_deadline_.at() : Clock::time_point::max(); }

    /// As long as it is under way: something happened on `fd`, or nothing (-1).
    void process(int fd, Clock::time_point now) {
        if (is_waiting_for(fd)) on_ready();
        if (now >= due()) on_time();
    }

private:
    using Stream = detail::remote::Stream;

    void on_ready() {
        switch (stage_) {
            case Stage::resolving: resolve(); break;
            case Stage::connecting: connected(transport_.finish_connect()); break;
            case Stage::securing: secure(); break;
            case Stage::logging_in: log_in(); break;
            case Stage::checking_role: check_role(); break;
            default: break;
        }
    }
    void on_time() {
        if (stage_ == Stage::resolving && !addresses_.empty()) {
            dial();  // what an older look-up found is better than nothing
        } else if (stage_ == Stage::locating || stage_ == Stage::resolving) {
            end(Errc::timeout);
        } else {
            try_next_address(Errc::timeout);
        }
    }

    void resolve() {
        stage_ = Stage::resolving;
        const auto error = record_.server().endpoints.find(addresses_, deadline_, loop_);
        if (error == Errc::busy) {
            step_deadline_ = addresses_.empty() ? deadline_ : Deadline{deadline_.start(), deadline_.budget() / 2};
        } else if (error) {
            end(error);
        } else {
            dial();
        }
    }
    void dial() {
        if (const auto error = record_.server().find_credentials(who_)) return end(error);
        next_address_ = 0;
        dial_next();
    }
    void dial_next() {
        step_deadline_ = deadline_.share(static_cast<int>(addresses_.size() - next_address_));
        record_.begin_dialling(addresses_[next_address_++]);
        stage_ = Stage::connecting;
        waits_for_ = POLLOUT;
        if (loop_ != nullptr) id_ = loop_->ids.open();
        const auto error = transport_.begin_connect(record_.address());
        if (error != Errc::busy) connected(error);
    }
    void connected(std::error_code error) {
        if (error) return try_next_address(error);
        if (const auto failed = transport_.secure(record_.server().tls(), host_)) return end(failed);
        stage_ = Stage::securing;
        secure();
    }
    void secure() {
        const auto status = transport_.try_handshake();
        if (status == Stream::Status::closed) return try_next_address(transport_.stream().failure());
        if (status != Stream::Status::done) return wait_for(status);
        stage_ = Stage::logging_in;
        login_.emplace(who_, record_.server().url.database);
        log_in();
    }
    void log_in() {
        const auto ended = drive(*login_);
        if (!ended) return;
        if (*ended) return try_next_address(*ended);
        if (!record_.server().is_named_by_sentinels()) return end({});
        stage_ = Stage::checking_role;
        role_.emplace();
        check_role();
    }
    /// A server that was a master when the sentinels looked.
    void check_role() {
        const auto ended = drive(*role_);
        if (!ended) return;
        const auto error = *ended ? *ended : role_->result();
        if (error) return try_next_address(error);
        end({});
    }
    void wait_for(Stream::Status status) noexcept {
        waits_for_ = status == Stream::Status::wants_read ? POLLIN : POLLOUT;
    }
    void try_next_address(std::error_code error) {
        close();
        if (error == Errc::no_memory) return end(error);
        record_.server().endpoints.doubt(record_.address());
        if (next_address_ == addresses_.size() || deadline_.has_passed()) return end(error);
        dial_next();
    }
    void end(const std::error_code& error) noexcept {
        if (error) close();
        if (!error) stage_ = Stage::open;
        result_ = error;
    }

    ConnectionRecord record_;
    Loop* const loop_;
    Transport transport_;
    Stage stage_ = Stage::closed;
    short waits_for_ = 0;
    std::uint64_t id_ = 0;  // of the descriptor
    Deadline deadline_{std::chrono::nanoseconds{0}};
    Deadline step_deadline_{std::chrono::nanoseconds{0}};
    std::optional<std::error_code> result_{};

    std::string host_{};
    std::vector<detail::remote::Address> addresses_{};
    std::size_t next_address_ = 0;
    RedisCredentials who_{};
    std::optional<Login> login_{};
    std::optional<RoleQuery> role_{};
};

/// For threads: waits for what an event loop would be told of, until the machine has a result. It ends by its deadline.
template <class Machine>
auto await(Machine& machine) {
    using detail::remote::Deadline;
    for (;;) {
        if (auto result = machine.take_result()) return *std::move(result);
        const auto watch = machine.watch();
        pollfd item{watch ? watch->fd : -1, watch ? watch->events : short{0}, 0};
        const auto now = Deadline::Clock::now();
        const int ms = machine.due() <= now ? 0 : Deadline{now, machine.due() - now}.poll_ms();
        const bool is_ready = ::poll(&item, 1, ms) > 0;
        machine.process(is_ready ? item.fd : -1, Deadline::Clock::now());
    }
}

}  // namespace sluice::detail::redis

#endif
