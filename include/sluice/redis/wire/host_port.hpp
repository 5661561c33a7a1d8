// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_WIRE_HOST_PORT_HPP
#define SLUICE_REDIS_WIRE_HOST_PORT_HPP

#include <cstddef>
#include <cstdint>
#include <string>

namespace sluice::detail::redis {

/// How the nodes of a cluster name each other: a host name or numeric address, and a port.
struct HostPort {
    std::string host{};      ///< empty: that of the node which said it
    std::uint16_t port = 0;  ///< 0: unknown

    static constexpr std::size_t max_host = 255;

    bool is_known() const noexcept { return port != 0; }

    friend bool operator==(const HostPort& a, const HostPort& b) noexcept {
        return a.port == b.port && a.host == b.host;
    }
    friend bool operator!=(const HostPort& a, const HostPort& b) noexcept { return !(a == b); }
};

/// As URLs write it.
inline std::string to_string(const HostPort& address) {
    const bool is_v6 = address.host.find(':') != std::string::npos;
    return (is_v6 ? '[' + address.host + ']' : address.host) + ':' + std::to_string(address.port);
}

}  // namespace sluice::detail::redis

#endif
