// SPDX-License-Identifier: MIT
#ifndef SLUICE_REMOTE_STREAM_HPP
#define SLUICE_REMOTE_STREAM_HPP

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <span>
#include <string_view>
#include <system_error>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/remote/address.hpp>
#include <sluice/remote/deadline.hpp>

namespace sluice::detail::remote {

/// A stream socket that never blocks longer than a deadline, never raises SIGPIPE and is not inherited through exec.
/// Signals do not prolong anything. One thread at a time.
class Socket {
public:
    Socket() = default;
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;
    ~Socket() { close(); }

    bool is_open() const noexcept { return fd_.load(std::memory_order_relaxed) >= 0; }

    /// Closes without a farewell: also right in a forked child, whose parent goes on using the connection.
    void close() noexcept {
        const int fd = fd_.exchange(-1, std::memory_order_relaxed);
        if (fd >= 0) ::close(fd);
    }

    /// Tries the addresses one after another, each with its share of the time that is left.
    std::error_code connect(const std::vector<Address>& addresses, const Deadline& deadline) noexcept {
        std::error_code error = Errc::unresolved;
        int left = static_cast<int>(addresses.size());
        for (const Address& address : addresses) {
            error = connect(address, left-- == 1 ? deadline : deadline.share(left + 1));
            if (!error && receives_blocking) error = set_blocking();
            if (!error) return error;
            close();
        }
        return error;
    }

    /// Sends everything. `sent` tells how much left even if it fails.
    std::error_code send(std::string_view data, const Deadline& deadline, std::size_t& sent) noexcept {
        for (sent = 0; sent != data.size();) {
            const auto count = ::send(fd(), data.data() + sent, data.size() - sent, send_flags);
            if (count >= 0) {
                sent += static_cast<std::size_t>(count);
            } else if (would_block()) {
                if (const auto error = wait(POLLOUT, deadline)) return error;
            } else if (errno != EINTR) {
                return Errc::disconnected;
            }
        }
        return {};
    }

    /// Receives at least one byte.
    std::error_code receive(std::span<char> buffer, const Deadline& deadline, std::size_t& received) noexcept {
        // poll's precise timer costs a virtual machine a third of a round trip (83 us instead of 52). A socket's own
        // timeout is cheap, and late: by up to two ticks of the kernel, of 10 ms at most, and, on the timer wheel of
        // Linux, by an eighth of its length. So poll is left for the end.
        for (;;) {
            const auto left = deadline.remaining();
            const auto imprecision = std::chrono::milliseconds{25} + left / 8;
            int flags = 0;
            if (receives_blocking && left > 2 * imprecision) {
                if (const auto error = limit_blocking(left - imprecision)) return error;
            } else {
                if (const auto error = wait(POLLIN, deadline)) return error;
                flags = MSG_DONTWAIT;
            }
            const auto count = ::recv(fd(), buffer.data(), buffer.size(), flags);
            if (count > 0) {
                received = static_cast<std::size_t>(count);
                return {};
            }
            if (count == 0 || (!would_block() && errno != EINTR)) return Errc::disconnected;
        }
    }

    /// Of an idle connection: the peer has closed it, or sent what nobody asked for.
    bool is_stale() const noexcept {
        char byte = 0;
        const auto count = ::recv(fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
        return count >= 0 || !would_block();
    }

private:
#ifdef MSG_NOSIGNAL
    static constexpr int send_flags = MSG_DONTWAIT | MSG_NOSIGNAL;
#else
    static constexpr int send_flags = MSG_DONTWAIT;  // SO_NOSIGPIPE does the rest
#endif

#ifdef __APPLE__
    static constexpr bool receives_blocking = false;  // there MSG_DONTWAIT does not keep send() from blocking
#else
    static constexpr bool receives_blocking = true;
#endif

    int fd() const noexcept { return fd_.load(std::memory_order_relaxed); }
    static bool would_block() noexcept { return errno == EAGAIN || errno == EWOULDBLOCK; }

    std::error_code connect(const Address& address, const Deadline& deadline) noexcept {
        if (const auto error = open(address.family())) return error;
        if (::connect(fd(), address.get(), address.length) == 0) return {};
        // Interrupted or not, it goes on by itself. EAGAIN is a unix socket whose queue is full.
        if (errno != EINPROGRESS && errno != EINTR) return errno == ETIMEDOUT ? Errc::timeout : Errc::refused;
        if (const auto error = wait(POLLOUT, deadline)) return error;
        int status = 0;
        socklen_t size = sizeof status;
        if (getsockopt(fd(), SOL_SOCKET, SO_ERROR, &status, &size) != 0) return Errc::refused;
        if (status != 0) return status == ETIMEDOUT ? Errc::timeout : Errc::refused;
        return {};
    }

    std::error_code open(int family) noexcept {
#ifdef SOCK_CLOEXEC
        fd_ = ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (!is_open()) return Errc::refused;  // out of descriptors
#else
        fd_ = ::socket(family, SOCK_STREAM, 0);
        if (!is_open() || fcntl(fd(), F_SETFD, FD_CLOEXEC) != 0 || fcntl(fd(), F_SETFL, O_NONBLOCK) != 0)
            return Errc::refused;
#endif
        const int on = 1;
#ifdef SO_NOSIGPIPE
        if (setsockopt(fd(), SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on) != 0) return Errc::refused;
#endif
        // Without it small requests wait for acknowledgements; the connection still works if it cannot be set.
        if (family != AF_UNIX) static_cast<void>(setsockopt(fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
        return {};
    }

    /// Connecting is done without blocking, and receiving with.
    std::error_code set_blocking() noexcept {
        limit_ = std::chrono::nanoseconds{0};
        const int flags = fcntl(fd(), F_GETFL);
        if (flags < 0 || fcntl(fd(), F_SETFL, flags & ~O_NONBLOCK) != 0) return Errc::disconnected;
        return {};
    }

    /// Of what blocks, that is, of recv: to `time` or a little less, so that one setting serves many calls.
    std::error_code limit_blocking(std::chrono::nanoseconds time) noexcept {
        if (limit_ <= time && limit_ >= time - time / 4) return {};
        limit_ = time - time / 8;
        const auto us = std::chrono::duration_cast<std::chrono::microseconds>(limit_).count();
        timeval limit{};
        limit.tv_sec = static_cast<decltype(limit.tv_sec)>(us / 1'000'000);
        limit.tv_usec = static_cast<decltype(limit.tv_usec)>(us % 1'000'000);
        if (setsockopt(fd(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0) return {};
        return Errc::disconnected;
    }

    std::error_code wait(short events, const Deadline& deadline) const noexcept {
        for (;;) {
            pollfd item{fd(), events, 0};
            const int timeout = deadline.poll_ms();
            const int ready = ::poll(&item, 1, timeout);
            if (ready > 0) return {};  // errors and hang-ups show in the call that follows
            if (ready == 0 || errno == EINTR) {
                if (deadline.has_passed()) return Errc::timeout;
            } else {
                return Errc::disconnected;
            }
        }
    }

    std::atomic<int> fd_{-1};            // atomic for the sake of close() in a forked child
    std::chrono::nanoseconds limit_{0};  // as last set by limit_blocking
};

}  // namespace sluice::detail::remote

#endif
