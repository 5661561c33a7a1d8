// SPDX-License-Identifier: MIT
#ifndef SLUICE_REMOTE_SOCKET_STREAM_HPP
#define SLUICE_REMOTE_SOCKET_STREAM_HPP

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <span>
#include <string_view>
#include <system_error>

#include <sluice/error.hpp>
#include <sluice/remote/address.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/remote/descriptor.hpp>
#include <sluice/remote/stream.hpp>

namespace sluice::detail::remote {

/// TCP and unix sockets. Never raises SIGPIPE and is not inherited through exec; signals prolong nothing.
class SocketStream final : public Stream {
public:
    int descriptor() const noexcept override { return descriptor_.get(); }
    bool is_open() const noexcept { return descriptor_.is_open(); }

    /// Closes without a farewell: also right in a forked child, whose parent goes on using the connection.
    void close() noexcept { descriptor_.close(); }

    /// Errc::busy: it goes on; once the socket can be written to, finish_connect() tells how it went.
    std::error_code begin_connect(const Address& address) noexcept {
        if (const auto error = open(address.family())) return error;
        if (::connect(descriptor(), address.get(), address.length) == 0) return {};
        // Interrupted or not, it goes on by itself. EAGAIN is a unix socket whose queue is full.
        return errno == EINPROGRESS || errno == EINTR ? Errc::busy : failure_of(errno);
    }
    std::error_code finish_connect() const noexcept {
        int status = 0;
        socklen_t size = sizeof status;
        if (getsockopt(descriptor(), SOL_SOCKET, SO_ERROR, &status, &size) != 0) return Errc::refused;
        return status == 0 ? std::error_code{} : make_error_code(failure_of(status));
    }

    Result try_read(std::span<char> buffer) noexcept override { return read_once(buffer, MSG_DONTWAIT); }

    Result try_write(std::string_view bytes) noexcept override {
        for (;;) {
            const auto count = ::send(descriptor(), bytes.data(), bytes.size(), write_flags);
            if (count >= 0) return {Status::done, static_cast<std::size_t>(count)};
            if (would_block()) return {Status::wants_write};
            if (errno != EINTR) return {Status::closed};
        }
    }

    bool is_stale() noexcept override {
        char byte = 0;
        const auto count = ::recv(descriptor(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
        return count >= 0 || !would_block();
    }

    std::error_code read(std::span<char> buffer, const Deadline& deadline, std::size_t& count) noexcept override {
        // poll's precise timer costs a virtual machine a third of a round trip (83 us instead of 52). A socket's own
        // timeout is cheap, and late: by up to two ticks of the kernel, of 10 ms at most, and, on the timer wheel of
        // Linux, by an eighth of its length. So poll is left for the end.
        for (;;) {
            const auto left = deadline.remaining();
            const auto imprecision = std::chrono::milliseconds{25} + left / 8;
            if (!reads_blocking || left <= 2 * imprecision) return Stream::read(buffer, deadline, count);
            if (const auto error = limit_blocking(left - imprecision)) return error;
            const Result result = read_once(buffer, 0);
            count = result.bytes;
            if (result.status == Status::done) return {};
            if (result.status == Status::closed) return Errc::disconnected;
        }
    }

private:
#ifdef MSG_NOSIGNAL
    static constexpr int write_flags = MSG_DONTWAIT | MSG_NOSIGNAL;
#else
    static constexpr int write_flags = MSG_DONTWAIT;  // SO_NOSIGPIPE does the rest
#endif

#ifdef __APPLE__
    static constexpr bool reads_blocking = false;  // there MSG_DONTWAIT does not keep send() from blocking
#else
    static constexpr bool reads_blocking = true;
#endif

    static_assert(EAGAIN == EWOULDBLOCK);
    static bool would_block() noexcept { return errno == EAGAIN; }
    static Errc failure_of(int error) noexcept { return error == ETIMEDOUT ? Errc::timeout : Errc::refused; }

    Result read_once(std::span<char> buffer, int flags) noexcept {
        const auto count = ::recv(descriptor(), buffer.data(), buffer.size(), flags);
        if (count > 0) return {Status::done, static_cast<std::size_t>(count)};
        return {count < 0 && (would_block() || errno == EINTR) ? Status::wants_read : Status::closed};
    }

    /// Errc::no_memory where this process lacks a descriptor or memory: the server has no part in it.
    std::error_code open(int family) noexcept {
        limit_ = std::chrono::nanoseconds{0};
#ifdef SOCK_CLOEXEC
        descriptor_.reset(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        if (!is_open()) return errno == EAFNOSUPPORT ? Errc::refused : Errc::no_memory;
#else
        descriptor_.reset(::socket(family, SOCK_STREAM, 0));
        if (!is_open()) return errno == EAFNOSUPPORT ? Errc::refused : Errc::no_memory;
        if (fcntl(descriptor(), F_SETFD, FD_CLOEXEC) != 0 || fcntl(descriptor(), F_SETFL, O_NONBLOCK) != 0)
            return Errc::refused;
#endif
        const int on = 1;
#ifdef SO_NOSIGPIPE
        if (setsockopt(descriptor(), SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on) != 0) return Errc::refused;
#endif
        // Without it small requests wait for acknowledgements; the connection still works if it cannot be set.
        if (family != AF_UNIX) static_cast<void>(setsockopt(descriptor(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
        return {};
    }

    /// Of what blocks, that is, of recv: to `time` or a little less, so that one setting serves many calls.
    std::error_code limit_blocking(std::chrono::nanoseconds time) noexcept {
        if (limit_ <= time && limit_ >= time - time / 4) return {};
        if (limit_ == std::chrono::nanoseconds{0} && !set_blocking()) return Errc::disconnected;
        limit_ = time - time / 8;
        const auto us = std::chrono::duration_cast<std::chrono::microseconds>(limit_).count();
        timeval limit{};
        limit.tv_sec = static_cast<decltype(limit.tv_sec)>(us / 1'000'000);
        limit.tv_usec = static_cast<decltype(limit.tv_usec)>(us % 1'000'000);
        if (setsockopt(descriptor(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0) return {};
        return Errc::disconnected;
    }

    bool set_blocking() const noexcept {
        const int flags = fcntl(descriptor(), F_GETFL);
        return flags >= 0 && fcntl(descriptor(), F_SETFL, flags & ~O_NONBLOCK) == 0;
    }

    Descriptor descriptor_{};
    std::chrono::nanoseconds limit_{0};  // as last set by limit_blocking; 0 as long as the socket does not block
};

}  // namespace sluice::detail::remote

#endif
