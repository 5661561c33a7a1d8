// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_WIRE_CALL_HPP
#define SLUICE_REDIS_WIRE_CALL_HPP

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <system_error>

#include <sluice/error.hpp>
#include <sluice/redis/wire/redirection.hpp>
#include <sluice/redis/wire/resp.hpp>
#include <sluice/redis/wire/script.hpp>
#include <sluice/redis/wire/slot.hpp>

namespace sluice::detail::redis {

/// What a call to a cluster carries from node to node, and how it was answered last.
struct RoutedCall {
    Slot slot = any_slot;          ///< of all keys
    bool asking = false;           ///< sent to a node that is getting the slot, because another said so
    bool alone = false;            ///< shares no run
    int steps = 0;                 ///< to other nodes, or to the map
    std::uint64_t asked_node = 0;  ///< the number of the node that was asked last, 0 for none

    std::error_code error{};
    Redirection redirection{};  ///< beside the error, where a cluster's node said it

    /// Where it is not sent again: a cluster that is being changed is busy.
    void give_up() noexcept {
        if (redirection.kind != Redirection::Kind::none) error = Errc::busy;
    }
};

/// Some decisions of one policy for one run of a script, in RESP but for the frame around them, and where to put the
/// answers.
struct ScriptCall : RoutedCall {
    const Scripts* scripts = nullptr;   ///< live for ever
    const Arguments* common = nullptr;  ///< of all decisions: the policy's, and the time if it is not the server's
    std::string_view keys{};            ///< of all decisions, as RESP arguments
    std::string_view units{};           ///< of each decision, one RESP argument
    std::size_t keys_each = 1;
    std::size_t values_each = 1;  ///< integers in one answer
    std::size_t decisions = 0;    ///< at most max_decisions

    /// `values_each` integers for each decision; the first is `wrong_type` where a key is not ours.
    std::span<std::int64_t> values{};

    static constexpr std::size_t max_decisions = 128;
    static constexpr std::int64_t wrong_type = -1;
    static constexpr std::int64_t max_value = std::int64_t{1} << 53;  // scripts answer with exact doubles
};

}  // namespace sluice::detail::redis

#endif
