// SPDX-License-Identifier: MIT
#ifndef SLUICE_REMOTE_CHANNEL_STREAM_HPP
#define SLUICE_REMOTE_CHANNEL_STREAM_HPP

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

#include <sluice/error.hpp>
#include <sluice/remote/channel.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/remote/socket_stream.hpp>
#include <sluice/remote/stream.hpp>

namespace sluice::detail::remote {

/// A channel over a connected socket.
class ChannelStream final : public Stream {
public:
    ChannelStream(SocketStream& socket, std::unique_ptr<Channel> channel) noexcept
        : socket_(socket), channel_(std::move(channel)) {}

    int descriptor() const noexcept override { return socket_.descriptor(); }

    /// Need not be called: reading and writing begin with it, too.
    Status try_handshake() noexcept {
        return attempt([&] { return Result{channel_->handshake()}; }).status;
    }

    Result try_read(std::span<char> buffer) noexcept override {
        return attempt([&] { return channel_->read(buffer); });
    }

    /// done: the bytes have left. After another answer the next call must bring the same bytes, and more perhaps.
    Result try_write(std::string_view bytes) noexcept override {
        if (accepted_ == 0) {
            const Result result = attempt([&] { return channel_->write(bytes); });
            if (result.status != Status::done) return result;
            accepted_ = result.bytes;
        }
        const Status status = flush();
        if (status == Status::closed) hear_last_words();
        if (status != Status::done) return {status};
        return {Status::done, std::exchange(accepted_, 0)};
    }

    /// Peeking at the socket would not do: what arrived may be the channel's own, not the peer's.
    bool is_stale() noexcept override {
        char byte = 0;
        return try_read({&byte, 1}).status != Status::wants_read;
    }

    std::error_code failure() const noexcept override { return channel_->failure(); }

    /// As the socket reads, which knows how to wait cheaply.
    std::error_code read(std::span<char> buffer, const Deadline& deadline, std::size_t& count) noexcept override {
        for (;;) {
            const Result result = channel_->read(buffer);
            count = result.bytes;
            if (result.status == Status::done) return {};
            Status flushed = flush();
            if (result.status == Status::closed) return failure();
            for (; flushed == Status::wants_write; flushed = flush()) {
                if (const auto error = wait(flushed, deadline)) return error;
            }
            if (result.status != Status::wants_read) continue;
            std::size_t received = 0;
            const auto error = socket_.read(channel_->room(), deadline, received);
            if (error) return error == Errc::disconnected ? failure() : error;
            channel_->received(received);
        }
    }

    /// Says farewell, if that does not block. The socket is left open.
    void finish() noexcept {
        channel_->finish();
        flush();
    }

private:
    /// Until the channel is done, or the socket would block.
    template <class Action>
    Result attempt(Action action) noexcept {
        for (;;) {
            const Result result = action();
            const Status flushed = flush();
            if (result.status == Status::done || result.status == Status::closed) return result;
            if (flushed == Status::wants_write) return {flushed};
            // A peer that has closed may have told why before.
            const Status filled = result.status == Status::wants_read ? fill() : flushed;
            if (filled != Status::done) return {flushed == Status::closed ? flushed : filled};
        }
    }

    Status flush() noexcept {
        for (auto output = channel_->output(); !output.empty(); output = channel_->output()) {
            const Result result = socket_.try_write(output);
            if (result.status != Status::done) return result.status;
            channel_->sent(result.bytes);
        }
        return Status::done;
    }
    Status fill() noexcept {
        const Result result = socket_.try_read(channel_->room());
        channel_->received(result.bytes);
        return result.status;
    }
    void hear_last_words() noexcept {
        char byte = 0;
        while (channel_->read({&byte, 1}).status == Status::wants_read && fill() == Status::done) {
        }
    }

    SocketStream& socket_;
    std::unique_ptr<Channel> channel_;
    std::size_t accepted_ = 0;  // of the bytes that the next try_write() brings again
};

}  // namespace sluice::detail::remote

#endif
