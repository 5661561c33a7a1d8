// SPDX-License-Identifier: MIT
#ifndef SLUICE_REMOTE_WATCH_HPP
#define SLUICE_REMOTE_WATCH_HPP

#include <cstdint>

namespace sluice {

/// A descriptor that an event loop has to watch for a client.
struct Watch {
    int fd = -1;
    short events = 0;      ///< POLLIN, POLLOUT or both, as poll(2) has them
    std::uint64_t id = 0;  ///< another one where `fd` is another file though it has the same number

    friend bool operator==(const Watch&, const Watch&) = default;
};

}  // namespace sluice

#endif
