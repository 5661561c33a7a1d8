// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_TRANSPORT_HPP
#define SLUICE_REDIS_LINK_TRANSPORT_HPP

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
    detail::remote::Stream& stream() noexcept {
        return secure_ ? static_cast<detail::remote::Stream&>(*secure_) : socket_;
    }

    /// `host` is whom the address is of, as the certificate has to tell if there is to be TLS. May throw std::bad_alloc.
    std::error_code connect(const detail::remote::Address& address, const ChannelFactory* tls, const std::string& host,
                            const Deadline& deadline) {
        secure_.reset();
        if (const auto error = socket_.connect(address, deadline)) return error;
        if (tls == nullptr) return {};
        try {
            secure_.emplace(socket_, tls->make(host));
        } catch (const std::invalid_argument&) {  // a forked child cannot read its files
            return Errc::misconfigured;
        }
        return secure_->handshake(deadline);
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

    void close() noexcept {
        if (secure_ && socket_.is_open()) secure_->finish();
        socket_.close();
    }
    /// In a forked child, whose parent goes on using the connection: without a farewell, and without looking at anything
    /// that a thread of the parent may have been changing.
    void abandon() noexcept { socket_.close(); }

private:
    detail::remote::SocketStream socket_;
    std::optional<detail::remote::ChannelStream> secure_;
    std::array<char, 16'384> buffer_;
};

}  // namespace sluice::detail::redis

#endif
