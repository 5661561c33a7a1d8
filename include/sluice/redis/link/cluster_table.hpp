// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_CLUSTER_TABLE_HPP
#define SLUICE_REDIS_LINK_CLUSTER_TABLE_HPP

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/redis/redis_stats.hpp>
#include <sluice/redis/redis_url.hpp>
#include <sluice/redis/wire/cluster_slots.hpp>
#include <sluice/redis/wire/host_port.hpp>
#include <sluice/redis/wire/slot.hpp>
#include <sluice/redis/wire/slot_map.hpp>

namespace sluice::detail::redis {

/// How old the map of slots has to be before it is asked for again: after a failure, and after redirections, which tell of
/// one slot what the map would tell of all.
inline constexpr std::chrono::milliseconds least_map_age_doubted{100};
inline constexpr std::chrono::milliseconds least_map_age_redirected{1'000};

/// What is known of a node of a cluster.
class NodeRecord {
public:
    explicit NodeRecord(HostPort address) : address_(std::move(address)) {}

    const HostPort& address() const noexcept { return address_; }

    /// It failed lately, so that another may have taken its place. For any thread.
    bool is_doubted() const noexcept { return is_doubted_.load(std::memory_order_relaxed); }
    void doubt(bool is_doubted) noexcept {
        if (is_doubted_.load(std::memory_order_relaxed) != is_doubted)
            is_doubted_.store(is_doubted, std::memory_order_relaxed);
    }

    // Written by the table that lists it.
    std::uint64_t number = 0;  ///< no other of the table has had it
    bool was_named = false;    ///< by a redirection, since the map was learnt last

private:
    const HostPort address_;
    std::atomic<bool> is_doubted_{false};
};

/// Which nodes of a cluster are known, and who of them serves which slot, for threads and event loops alike. One thread at
/// a time. A Node is a NodeRecord and tells its breaker() and open_connections().
template <class Node>
class ClusterTable {
public:
    using Member = std::shared_ptr<Node>;
    using Make = std::function<Member(const HostPort&)>;

    ClusterTable(const RedisUrl& url, Make make) : make_(std::move(make)) {
        for (const auto& endpoint : url.endpoints) seeds_.push_back(made({endpoint.host, endpoint.port}));
    }

    /// Null where nobody is known to serve the slot.
    Member owner(Slot slot) const {
        const auto number = map_.owner(slot);
        return number == SlotMap::nobody ? nullptr : members_[number];
    }

    /// Whom a redirection of `by` names, known or new; null where there are too many.
    Member named(HostPort address, const Node& by) {
        if (address.host.empty()) address.host = by.address().host;
        Member member = find(members_, address);
        if (!member) {
            if (members_.size() == SlotMap::max_nodes) return nullptr;
            member = made(address);
            members_.push_back(member);
            try {
                map_.add(address);
            } catch (...) {
                members_.pop_back();
                throw;
            }
        }
        member->was_named = true;
        return member;
    }

    void assign(Slot slot, const Member& owner) noexcept {
        const auto at = std::find(members_.begin(), members_.end(), owner);
        if (at != members_.end()) map_.assign(slot, static_cast<SlotMap::Number>(at - members_.begin()));
    }

    const std::vector<Member>& all() const noexcept { return members_; }
    bool is_complete() const noexcept { return map_.is_complete(); }

    /// Those to ask for the map, the seeds and all who are known. Nobody twice, those first of whom nothing bad is known, and
    /// each time beginning with another.
    std::vector<Member> whom_to_ask() {
        std::vector<Member> candidates = members_;
        if (!candidates.empty())
            std::rotate(candidates.begin(),
                        candidates.begin() + static_cast<std::ptrdiff_t>(turn_++ % candidates.size()),
                        candidates.end());
        for (const Member& seed : seeds_) {
            if (!find(candidates, seed->address())) candidates.push_back(seed);
        }
        std::stable_partition(candidates.begin(), candidates.end(),
                              [](const Member& member) { return !member->is_doubted(); });
        return candidates;
    }

    /// Takes what one of them told. Errc::busy: nothing, it is of a cluster that is just being made.
    std::error_code adopt(const ClusterSlots& answer) {
        if (answer.ranges().empty()) return Errc::busy;
        adopt(answer.ranges());
        return {};
    }

    void add_to(RedisStats& stats) const {
        stats.breaker_openings = departed_openings_;
        for (const Member& member : members_) {
            RedisNodeStats node;
            node.address = to_string(member->address());
            node.connections = member->open_connections();
            node.breaker_openings = member->breaker().openings();
            node.breaker_is_open = member->breaker().is_open();
            stats.connections += node.connections;
            stats.breaker_openings += node.breaker_openings;
            stats.breaker_is_open = stats.breaker_is_open || node.breaker_is_open;
            stats.nodes.push_back(std::move(node));
        }
    }

private:
    Member made(const HostPort& address) {
        Member member = make_(address);
        member->number = ++numbers_;
        return member;
    }
    static Member find(const std::vector<Member>& among, const HostPort& address) noexcept {
        const auto known = std::find_if(among.begin(), among.end(),
                                        [&](const Member& member) { return member->address() == address; });
        return known == among.end() ? nullptr : *known;
    }

    /// Those who have left are closed with the last call that they are asked, except where a redirection named them: a node
    /// that is just getting its first slots is in nobody's map.
    void adopt(std::span<const SlotRange> ranges) {
        SlotMap map{ranges};
        std::vector<Member> members;
        members.reserve(map.nodes().size());
        for (const HostPort& address : map.nodes()) {
            Member known = find(members_, address);
            if (!known) known = find(seeds_, address);
            members.push_back(known ? std::move(known) : made(address));
        }
        for (const Member& member : members_) {
            const bool was_named = std::exchange(member->was_named, false);
            if (find(members, member->address())) continue;
            if (was_named && map.add(member->address()) == members.size()) {
                members.push_back(member);
            } else {
                departed_openings_ += member->breaker().openings();
            }
        }
        map_ = std::move(map);
        members_.swap(members);
    }

    const Make make_;
    std::uint64_t numbers_ = 0;  // that have been given
    std::vector<Member> seeds_;  // by the names in the URL
    std::size_t turn_ = 0;       // of those who ask for the map
    SlotMap map_;
    std::vector<Member> members_;  // by their numbers in the map
    std::uint64_t departed_openings_ = 0;
};

}  // namespace sluice::detail::redis

#endif
