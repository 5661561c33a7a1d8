// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_TRANSPORT_HPP
#define SLUICE_REDIS_LINK_TRANSPORT_HPP

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>

#include <sluice/error.hpp>
#include <sluice/redis/wire/exchange.hpp>
#include <sluice/remote/address.hpp>
#include <sluice/remote/channel.hpp>
#include <sluice/remote/channel_stream.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/remote/fork_check.hpp>
#include <sluice/remote/socket_stream.hpp>
#include <sluice/remote/stream.hpp>

namespace sluice::detail::redis {

/// A socket, with TLS over it where that is wanted, and the protocols that are spoken through it. One thread at a time.
class Transport {
public:
    using Deadline = detail::remote::Deadline;
    using ChannelFactory = detail::remote::ChannelFactory;

    Transport() = default;
    Transport(const Transport&) = delete;
    Transport& operator=(const Transport&) = delete;
    ~Transport() { close(); }

    bool is_open() const noexcept { return socket_.is_open(); }
    int descriptor() const noexcept { return socket_.descriptor(); }
    detail::remote::Stream& stream() noexcept {
        return secure_ ? static_cast<detail::remote::Stream&>(*secure_) : socket_;
    }

    // Steps that do not wait; see SocketStream.
    std::error_code begin_connect(const detail::remote::Address& address) noexcept {
        secure_.reset();
        return socket_.begin_connect(address);
    }
    std::error_code finish_connect() const noexcept { return socket_.finish_connect(); }
    /// `host` is whom the address is of, as the certificate has to tell if there is to be TLS. May throw std::bad_alloc.
    std::error_code secure(const ChannelFactory* tls, const std::string& host) {
        if (tls == nullptr) return {};
        try {
            secure_.emplace(socket_, tls->make(host));
            owner_ = detail::remote::ForkCheck::get();
            return {};
        } catch (const std::invalid_argument&) {  // a forked child cannot read its files
            return Errc::misconfigured;
        }
    }

    detail::remote::Stream::Status try_handshake() noexcept {
        return secure_ ? secure_->try_handshake() : detail::remote::Stream::Status::done;
    }

    /// To the end of an Exchange, a Login, or whatever is used as they are.
    template <class Protocol>
    std::error_code drive(Protocol& protocol, const Deadline& deadline) {
        detail::remote::Stream& wire = stream();
        for (;;) {
            std::size_t count = 0;
            std::error_code error;
            switch (protocol.want()) {
                case Exchange::Want::send:
                    error = wire.write(protocol.output(), deadline, count);
                    protocol.sent(count);
                    break;
                case Exchange::Want::receive:
                    error = wire.read(buffer_, deadline, count);
                    if (!error) error = protocol.feed({buffer_.data(), count});
                    break;
                case Exchange::Want::done: return {};
            }
            if (error) return error;
        }
    }

    /// All of it that can be done without waiting: `done`, or what has to be waited for. `closed` where there is an error.
    template <class Protocol>
    detail::remote::Stream::Status try_drive(Protocol& protocol, std::error_code& error) {
        using Status = detail::remote::Stream::Status;
        detail::remote::Stream& wire = stream();
        while (protocol.want() != Exchange::Want::done) {
            const bool sends = protocol.want() == Exchange::Want::send;
            const auto result = sends ? wire.try_write(protocol.output()) : wire.try_read(buffer_);
            if (result.status == Status::closed) {
                error = wire.failure();
            } else if (result.status != Status::done) {
                return result.status;
            } else if (sends) {
                protocol.sent(result.bytes);
                // Nobody answers so quickly: wait, instead of asking the kernel in vain.
                if (protocol.want() == Exchange::Want::receive) return Status::wants_read;
            } else {
                error = protocol.feed({buffer_.data(), result.bytes});
            }
            if (error) return Status::closed;
        }
        return Status::done;
    }

    /// A forked child that has inherited it says no farewell: its parent goes on using the connection.
    void close() noexcept {
        if (secure_ && socket_.is_open() && owner_ == detail::remote::ForkCheck::get()) secure_->finish();
        socket_.close();
    }
    /// In a forked child, too, but without looking at anything that a thread of the parent may have been changing.
    void abandon() noexcept { socket_.close(); }

private:
    detail::remote::SocketStream socket_;
    std::optional<detail::remote::ChannelStream> secure_;
    pid_t owner_ = 0;
    std::array<char, 16'384> buffer_;
};

}  // namespace sluice::detail::redis

#endif
