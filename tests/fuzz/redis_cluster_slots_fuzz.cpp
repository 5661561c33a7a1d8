// SPDX-License-Identifier: MIT

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <system_error>

#include <sluice/redis/wire/cluster_slots.hpp>
#include <sluice/redis/wire/host_port.hpp>
#include <sluice/redis/wire/slot_map.hpp>

using sluice::detail::redis::ClusterSlots;
using sluice::detail::redis::HostPort;
using sluice::detail::redis::SlotMap;

// The first byte is how many bytes arrive at a time; the rest is what a node says to CLUSTER SLOTS.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::size_t step = 1 + data[0] % 64;
    std::string_view rest{reinterpret_cast<const char*>(data) + 1, size - 1};
    ClusterSlots slots{"asked"};
    slots.sent(slots.output().size());
    std::error_code error;
    while (!error && slots.want() == ClusterSlots::Want::receive && !rest.empty()) {
        error = slots.feed(rest.substr(0, step));
        rest.remove_prefix(std::min(step, rest.size()));
    }
    if (error || slots.want() != ClusterSlots::Want::done) return 0;
    for (const auto& range : slots.ranges()) {
        if (range.first > range.last || range.last >= sluice::detail::redis::slot_count) std::abort();
        if (!range.master.is_known() || range.master.host.empty() || range.master.host == "?") std::abort();
        if (range.master.host.size() > HostPort::max_host) std::abort();
    }
    const SlotMap map{slots.ranges()};
    for (std::size_t slot = 0; slot != sluice::detail::redis::slot_count; ++slot) {
        const auto owner = map.owner(static_cast<sluice::detail::redis::Slot>(slot));
        if (owner != SlotMap::nobody && owner >= map.nodes().size()) std::abort();
    }
    return 0;
}
