// SPDX-License-Identifier: MIT
#ifndef SLUICE_REMOTE_STREAM_HPP
#define SLUICE_REMOTE_STREAM_HPP

#include <poll.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <system_error>

#include <sluice/error.hpp>
#include <sluice/remote/deadline.hpp>

namespace sluice::detail::remote {

/// Until the descriptor can be read or written, as `events` says; errors and hang-ups show in the call that follows.
inline std::error_code wait_for(int fd, int events, const Deadline& deadline) noexcept {
    for (;;) {
        pollfd item{fd, static_cast<short>(events), 0};
        const int ready = fd < 0 ? -1 : ::poll(&item, 1, deadline.poll_ms());
        if (ready > 0) return {};
        if (ready < 0 && (fd < 0 || errno != EINTR)) return Errc::disconnected;
        if (deadline.has_passed()) return Errc::timeout;
    }
}

/// Bytes to and from a peer. A stream itself never blocks, it tells what it waits for (a TLS stream may have to read in
/// order to write): event loops wait by themselves, the blocking calls by poll(2). One thread at a time.
class Stream {
public:
    enum class Status : std::uint8_t { done, wants_read, wants_write, closed };
    struct Result {
        Status status = Status::done;
        std::size_t bytes = 0;  ///< moved, at least one if done
    };

    virtual ~Stream() = default;
    virtual int descriptor() const noexcept = 0;
    virtual Result try_read(std::span<char> buffer) noexcept = 0;
    virtual Result try_write(std::string_view bytes) noexcept = 0;
    /// Of an idle connection: the peer has closed it, or sent what nobody asked for.
    virtual bool is_stale() noexcept = 0;
    /// Why it is closed.
    virtual std::error_code failure() const noexcept { return Errc::disconnected; }

    /// Writes everything. `written` tells how much left even if it fails.
    std::error_code write(std::string_view bytes, const Deadline& deadline, std::size_t& written) noexcept {
        for (written = 0; written != bytes.size();) {
            const Result result = try_write(bytes.substr(written));
            if (result.status == Status::done) {
                written += result.bytes;
            } else if (const auto error = wait(result.status, deadline)) {
                return error;
            }
        }
        return {};
    }

    /// Reads at least one byte.
    virtual std::error_code read(std::span<char> buffer, const Deadline& deadline, std::size_t& count) noexcept {
        for (;;) {
            const Result result = try_read(buffer);
            count = result.bytes;
            if (result.status == Status::done) return {};
            if (const auto error = wait(result.status, deadline)) return error;
        }
    }

protected:
    std::error_code wait(Status wanted, const Deadline& deadline) const noexcept {
        if (wanted == Status::closed) return failure();
        return wait_for(descriptor(), wanted == Status::wants_read ? POLLIN : POLLOUT, deadline);
    }
};

}  // namespace sluice::detail::remote

#endif
