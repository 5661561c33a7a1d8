// SPDX-License-Identifier: MIT
#ifndef SLUICE_REMOTE_ADDRESS_HPP
#define SLUICE_REMOTE_ADDRESS_HPP

#include <netdb.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

namespace sluice::detail::remote {

/// Where a server listens: a host name or numeric address and a port, or the path of a unix socket.
struct Endpoint {
    std::string host{};
    std::uint16_t port = 0;
    std::string path{};  ///< used instead of host and port when not empty

    static constexpr std::size_t max_path = sizeof(sockaddr_un::sun_path) - 1;
};

/// What connect(2) takes.
struct Address {
    sockaddr_storage storage{};
    socklen_t length = 0;

    /// Of a unix socket; a path longer than Endpoint::max_path has to be refused before.
    static Address of_path(const std::string& path) noexcept {
        Address address;
        auto* const local = reinterpret_cast<sockaddr_un*>(&address.storage);
        local->sun_family = AF_UNIX;
        std::memcpy(local->sun_path, path.c_str(), path.size() + 1);
        address.length = static_cast<socklen_t>(sizeof(sockaddr_un));
        return address;
    }

    /// Those of a host; `flags` are getaddrinfo's: with AI_NUMERICHOST nobody is asked. None on any failure.
    static std::vector<Address> of_host(const std::string& host, std::uint16_t port, int flags) {
        addrinfo hints{};
        hints.ai_family = AF_UNSPEC;
        hints.ai_socktype = SOCK_STREAM;
        hints.ai_flags = flags | AI_NUMERICSERV;
        addrinfo* list = nullptr;
        if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list) != 0) return {};
        const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner{list, freeaddrinfo};
        std::vector<Address> addresses;
        for (const addrinfo* item = list; item != nullptr; item = item->ai_next) {
            if (item->ai_addrlen > sizeof(sockaddr_storage)) continue;
            Address& address = addresses.emplace_back();
            std::memcpy(&address.storage, item->ai_addr, item->ai_addrlen);
            address.length = static_cast<socklen_t>(item->ai_addrlen);
        }
        return addresses;
    }

    const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
    int family() const noexcept { return storage.ss_family; }

    friend bool operator==(const Address& a, const Address& b) noexcept {
        return a.length == b.length && std::memcmp(&a.storage, &b.storage, a.length) == 0;
    }
};

}  // namespace sluice::detail::remote

#endif
