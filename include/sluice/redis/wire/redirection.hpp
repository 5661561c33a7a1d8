// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_WIRE_REDIRECTION_HPP
#define SLUICE_REDIS_WIRE_REDIRECTION_HPP

#include <cstdint>
#include <string_view>

#include <sluice/detail/is_number.hpp>
#include <sluice/redis/wire/host_port.hpp>
#include <sluice/redis/wire/slot.hpp>

namespace sluice::detail::redis {

/// What a cluster's node says when it does not run a command itself. Nothing was done, so it may be sent again.
struct Redirection {
    enum class Kind : std::uint8_t {
        none,
        moved,      ///< the slot is another node's
        ask,        ///< the slot is being moved; this once, ask the node that gets it
        try_again,  ///< the slot is being moved, and only some of the keys are here
        down,       ///< nobody serves the slot, or the node knows too little of the cluster
    };
    Kind kind = Kind::none;
    Slot slot = any_slot;
    HostPort to{};  ///< of `moved` and `ask`, unknown where the node did not tell an address

    bool names_node() const noexcept { return (kind == Kind::moved || kind == Kind::ask) && to.is_known(); }

    /// Of an error reply's line; `none` for all other errors.
    static Redirection parse(std::string_view line) {
        Redirection found;
        const auto word = take_word(line);
        if (word == "TRYAGAIN") found.kind = Kind::try_again;
        if (word == "CLUSTERDOWN") found.kind = Kind::down;
        if (word == "MOVED") found.kind = Kind::moved;
        if (word == "ASK") found.kind = Kind::ask;
        if (found.kind != Kind::moved && found.kind != Kind::ask) return found;
        found.slot = number(take_word(line), slot_count - 1, any_slot);
        // host:port, where the host may be empty, an IPv6 address without brackets, or "?" for one that is not known.
        const auto address = take_word(line);
        const auto colon = address.rfind(':');
        if (colon == std::string_view::npos || colon > HostPort::max_host) return found;
        const auto host = address.substr(0, colon);
        if (host == "?") return found;
        found.to.host = host;
        found.to.port = number(address.substr(colon + 1), 65'535, 0);
        return found;
    }

private:
    static std::string_view take_word(std::string_view& line) noexcept {
        const auto word = line.substr(0, line.find(' '));
        line.remove_prefix(word.size() == line.size() ? word.size() : word.size() + 1);
        return word;
    }

    static std::uint16_t number(std::string_view digits, std::uint32_t most, std::uint16_t otherwise) noexcept {
        std::uint32_t value{};
        return is_number(digits, value) && value <= most ? static_cast<std::uint16_t>(value) : otherwise;
    }
};

}  // namespace sluice::detail::redis

#endif
