// SPDX-License-Identifier: MIT
#ifndef SLUICE_REMOTE_CHANNEL_HPP
#define SLUICE_REMOTE_CHANNEL_HPP

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

#include <sluice/remote/stream.hpp>

namespace sluice::detail::remote {

/// What turns a protocol's bytes into those on the wire and back, as TLS does, without the wire: bytes in, bytes out. After
/// every call there may be output, also where it failed: the peer is told why. Does no input and output; one thread at a time.
///
///     for (;;) {
///         const auto result = channel.read(buffer);            // or write(), or handshake(), which both begin with
///         ... send output(), tell sent() how much of it went
///         if (result.status != Stream::Status::wants_read) break;   // done, or closed: see failure()
///         ... receive into room(), tell received() how much it was
///     }
class Channel {
public:
    using Status = Stream::Status;
    using Result = Stream::Result;

    Channel() = default;
    Channel(const Channel&) = delete;
    Channel& operator=(const Channel&) = delete;
    virtual ~Channel() = default;

    /// For the wire, valid until the next call of any function but sent(). Not all of it, perhaps.
    virtual std::string_view output() noexcept = 0;
    virtual void sent(std::size_t count) noexcept = 0;
    /// Where bytes of the wire have to be put, valid like output(); never empty after Status::wants_read.
    virtual std::span<char> room() noexcept = 0;
    virtual void received(std::size_t count) noexcept = 0;

    /// done: the peer is who it has to be. wants_write: there is more output than it can hold.
    virtual Status handshake() noexcept = 0;
    virtual Result read(std::span<char> buffer) noexcept = 0;
    virtual Result write(std::string_view bytes) noexcept = 0;
    /// A farewell to the peer, as output; nothing can be read or written afterwards.
    virtual void finish() noexcept = 0;
    /// Why it is closed.
    virtual std::error_code failure() const noexcept = 0;
};

/// Makes channels. Thread-safe, and in a forked child.
class ChannelFactory {
public:
    ChannelFactory() = default;
    ChannelFactory(const ChannelFactory&) = delete;
    ChannelFactory& operator=(const ChannelFactory&) = delete;
    virtual ~ChannelFactory() = default;

    /// To a host of this name or numeric address. The factory outlives its channels. Throws std::bad_alloc, and
    /// std::invalid_argument where it has become unable to.
    virtual std::unique_ptr<Channel> make(const std::string& host) const = 0;
};

}  // namespace sluice::detail::remote

#endif
