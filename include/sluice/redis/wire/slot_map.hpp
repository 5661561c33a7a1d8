// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_WIRE_SLOT_MAP_HPP
#define SLUICE_REDIS_WIRE_SLOT_MAP_HPP

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <sluice/redis/wire/cluster_slots.hpp>
#include <sluice/redis/wire/host_port.hpp>
#include <sluice/redis/wire/slot.hpp>

namespace sluice::detail::redis {

/// Which node of a cluster serves which slot. Nodes are numbered from 0, so that whoever has more to know of them keeps a
/// list beside it. 32 KiB.
class SlotMap {
public:
    using Number = std::uint16_t;
    static constexpr Number nobody = 0xFFFF;
    static constexpr std::size_t max_nodes = 1'000;  ///< as many as Redis recommends at most

    SlotMap() { owners_.fill(nobody); }
    /// Of ranges that overlap the last one counts.
    explicit SlotMap(std::span<const SlotRange> ranges) : SlotMap() {
        for (const SlotRange& range : ranges) {
            const Number owner = add(range.master);
            for (std::size_t slot = range.first; slot <= range.last; ++slot) owners_[slot] = owner;
        }
    }

    /// `nobody` where no node is known for the slot.
    Number owner(Slot slot) const noexcept { return slot < slot_count ? owners_[slot] : nobody; }
    void assign(Slot slot, Number owner) noexcept {
        if (slot < slot_count) owners_[slot] = owner;
    }

    /// The node's number, also of a node that was not known; `nobody` where there are too many.
    Number add(const HostPort& node) {
        const auto known = std::find(nodes_.begin(), nodes_.end(), node);
        if (known == nodes_.end()) {
            if (nodes_.size() == max_nodes) return nobody;
            nodes_.push_back(node);
            return static_cast<Number>(nodes_.size() - 1);
        }
        return static_cast<Number>(known - nodes_.begin());
    }
    std::span<const HostPort> nodes() const noexcept { return nodes_; }

    bool is_empty() const noexcept { return nodes_.empty(); }
    /// Whether every slot has an owner.
    bool is_complete() const noexcept { return std::find(owners_.begin(), owners_.end(), nobody) == owners_.end(); }

private:
    std::array<Number, slot_count> owners_;
    std::vector<HostPort> nodes_{};
};

}  // namespace sluice::detail::redis

#endif
