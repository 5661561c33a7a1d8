// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_CLIENT_CLIENT_ADDRESS_HPP
#define SLUICE_HTTP_CLIENT_CLIENT_ADDRESS_HPP

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/http/client/detail/forwarded.hpp>
#include <sluice/http/client/ip_address.hpp>

namespace sluice::http {

/// Which header trusted proxies write. The others are never read: a proxy passes on what a client put there.
enum class ForwardedBy {
    x_forwarded_for,
    forwarded,         ///< RFC 7239
    x_real_ip,         ///< X-Real-IP, and the next: one address, which the proxy overwrites
    cf_connecting_ip,  ///< CF-Connecting-IP
};

struct ClientAddressOptions {
    /// Network{"unix"} is every peer of a Unix socket; name it only where the server listens on nothing else. Empty:
    /// the peer is the client and no header is read.
    std::vector<Network> trusted_proxies{};
    ForwardedBy header = ForwardedBy::x_forwarded_for;
    unsigned v6_prefix = 64;  ///< bits that make one IPv6 client, 1 .. 128
    /// In the place of trusted_proxies where their addresses are not known: how many proxies stand before the server. The
    /// client is what the outermost of them wrote. Whoever can reach the server past them can choose an address.
    unsigned hops = 0;
};

/// Finds out who a request comes from: the socket's peer, or what trusted proxies say.
///
/// A header counts only if the peer is a trusted proxy. It is read from the right, past trusted proxies, and the
/// first other address is the client; what stands left of it was written by the client and is not looked at. If all
/// are trusted, the leftmost is the client. Anything unclear on the way (a host name, "unknown", an empty element,
/// more than 32 hops, quotes that do not match) makes the peer the client, which at worst makes such requests share a
/// limit. Immutable, so usable by all threads; never throws or allocates after construction.
class ClientAddress {
public:
    static constexpr std::size_t max_hops = detail::max_hops;

    /// Throws std::invalid_argument if the IPv6 prefix is not 1 .. 128, for more than 32 hops, and for hops together with
    /// trusted proxies or with a header that holds one address.
    explicit ClientAddress(ClientAddressOptions options = {}) : options_(std::move(options)) {
        if (options_.v6_prefix < 1 || options_.v6_prefix > 128) {
            throw std::invalid_argument("sluice: v6_prefix must be from 1 to 128, not " +
                                        std::to_string(options_.v6_prefix));
        }
        if (options_.hops > max_hops) {
            throw std::invalid_argument("sluice: hops must be from 0 to 32, not " + std::to_string(options_.hops));
        }
        if (options_.hops != 0 && (!options_.trusted_proxies.empty() || holds_one_address())) {
            throw std::invalid_argument("sluice: hops need a list of addresses in the header, and no trusted proxies");
        }
    }

    /// The header's name to look up, empty if none is to be read.
    std::string_view header() const noexcept {
        if (options_.trusted_proxies.empty() && options_.hops == 0) return {};
        switch (options_.header) {
            case ForwardedBy::x_forwarded_for: return "X-Forwarded-For";
            case ForwardedBy::forwarded: return "Forwarded";
            case ForwardedBy::x_real_ip: return "X-Real-IP";
            case ForwardedBy::cf_connecting_ip: return "CF-Connecting-IP";
        }
        return {};
    }

    /// The client's address. `lines` are the values of all lines of header(), in the order they came. A peer that is no
    /// address is one of a Unix socket: nothing unless "unix" is trusted and the header names the client.
    std::optional<IpAddress> find(std::string_view peer, std::span<const std::string_view> lines = {}) const noexcept {
        auto direct = IpAddress::parse(peer);
        // The socket's own address may carry a zone: fe80::1%eth0.
        if (!direct) direct = IpAddress::parse(peer.substr(0, peer.find('%')));
        if (lines.empty()) return direct;
        const bool is_believed = options_.hops != 0 || (direct ? is_trusted(*direct) : trusts_unix());
        if (!is_believed) return direct;
        if (holds_one_address()) {
            const auto named = lines.size() == 1 ? IpAddress::parse(detail::trimmed(lines.front())) : std::nullopt;
            return named ? named : direct;
        }
        auto client = direct;
        std::size_t hops = 0;
        // True while the walk goes on; false with `client` set at its end.
        const auto hop = [&](std::optional<IpAddress> address) noexcept {
            if (!address || ++hops > max_hops) {
                client = direct;
                return false;
            }
            client = address;
            return options_.hops != 0 ? hops < options_.hops : is_trusted(*address);
        };
        for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
            const bool more = options_.header == ForwardedBy::forwarded ? detail::walk_forwarded(*line, hop)
                                                                        : detail::walk_x_forwarded_for(*line, hop);
            if (!more) break;
        }
        return client;
    }

    /// The part of an address that stands for one client: IPv4 whole, IPv6 cut to the prefix, because one subscriber
    /// usually has the whole block. Translated addresses, of which a block holds all of the IPv4 internet, count by
    /// their IPv4 part: see IpAddress::embedded_v4.
    IpAddress identity(const IpAddress& address) const noexcept {
        if (address.is_v4() || address.is_local_nat64()) return address;
        if (const auto v4 = address.embedded_v4()) return *v4;
        return address.masked(options_.v6_prefix);
    }

    bool is_trusted(const IpAddress& address) const noexcept {
        return std::any_of(options_.trusted_proxies.begin(), options_.trusted_proxies.end(),
                           [&](const Network& network) { return network.contains(address); });
    }
    bool trusts_unix() const noexcept {
        return std::any_of(options_.trusted_proxies.begin(), options_.trusted_proxies.end(),
                           [](const Network& network) { return network.is_unix(); });
    }

private:
    bool holds_one_address() const noexcept {
        return options_.header == ForwardedBy::x_real_ip || options_.header == ForwardedBy::cf_connecting_ip;
    }

    ClientAddressOptions options_;
};

}  // namespace sluice::http

#endif
