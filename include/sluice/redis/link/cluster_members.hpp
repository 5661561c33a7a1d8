// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_CLUSTER_MEMBERS_HPP
#define SLUICE_REDIS_LINK_CLUSTER_MEMBERS_HPP

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/redis/link/connection.hpp>
#include <sluice/redis/link/node.hpp>
#include <sluice/redis/redis_options.hpp>
#include <sluice/redis/redis_stats.hpp>
#include <sluice/redis/redis_url.hpp>
#include <sluice/redis/wire/cluster_slots.hpp>
#include <sluice/redis/wire/host_port.hpp>
#include <sluice/redis/wire/slot_map.hpp>
#include <sluice/remote/breaker.hpp>
#include <sluice/remote/deadline.hpp>

namespace sluice::detail::redis {

/// A node of a cluster, with a breaker of its own. Closed when nobody refers to it any more. Thread-safe.
class ClusterNode {
public:
    ClusterNode(HostPort address, const RedisUrl& url, const RedisOptions& options, Counters& counters)
        : address_(std::move(address)), breaker_(options.breaker),
          node_(url, {address_.host, address_.port, {}}, options, counters, breaker_) {}

    const HostPort& address() const noexcept { return address_; }
    detail::remote::Breaker& breaker() noexcept { return breaker_; }
    Node& node() noexcept { return node_; }

    /// It failed lately, so that another may have taken its place.
    bool is_doubted() const noexcept { return is_doubted_.load(std::memory_order_relaxed); }
    void doubt(bool is_doubted) noexcept {
        if (is_doubted_.load(std::memory_order_relaxed) != is_doubted)
            is_doubted_.store(is_doubted, std::memory_order_relaxed);
    }

    /// A redirection named it since the map was learnt last. Under the lock of whoever lists it.
    bool was_named = false;

private:
    const HostPort address_;
    detail::remote::Breaker breaker_;
    Node node_;
    std::atomic<bool> is_doubted_{false};
};

/// Who serves which slot, as far as this process knows. It is learnt from CLUSTER SLOTS, asked by one caller at a time,
/// and from redirections; those who need it later profit, and nobody else waits. Thread-safe.
class ClusterMembers {
public:
    using Deadline = detail::remote::Deadline;
    using Clock = Deadline::Clock;
    using Member = std::shared_ptr<ClusterNode>;

    ClusterMembers(const RedisUrl& url, const RedisOptions& options, Counters& counters)
        : url_(url), options_(options), counters_(counters) {
        for (const auto& endpoint : url.endpoints) seeds_.push_back(make({endpoint.host, endpoint.port}));
    }

    /// Null where nobody is known to serve the slot.
    Member owner(Slot slot) {
        const std::lock_guard lock{mutex_};
        const auto number = map_.owner(slot);
        return number == SlotMap::nobody ? nullptr : members_[number];
    }

    /// Whom a redirection of `by` names, known or new; null where there are too many.
    Member named(HostPort address, const ClusterNode& by) {
        if (address.host.empty()) address.host = by.address().host;
        const std::lock_guard lock{mutex_};
        Member member = find(members_, address);
        if (!member) {
            if (members_.size() == SlotMap::max_nodes) return nullptr;
            member = make(address);
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

    void assign(Slot slot, const Member& owner) {
        const std::lock_guard lock{mutex_};
        const auto at = std::find(members_.begin(), members_.end(), owner);
        if (at != members_.end()) map_.assign(slot, static_cast<SlotMap::Number>(at - members_.begin()));
    }

    std::vector<Member> all() const {
        const std::lock_guard lock{mutex_};
        return members_;
    }
    bool is_complete() const {
        const std::lock_guard lock{mutex_};
        return map_.is_complete();
    }

    /// Asks for the map anew, unless that was done within `least_age`, or is being done: then it waits for the result if it
    /// `waits`. How it went last.
    std::error_code learn(const Deadline& deadline, std::chrono::milliseconds least_age, bool waits) {
        std::unique_lock lock{learning_};
        if (is_learning_) {
            const auto lesson = lessons_;
            if (!waits) return outcome_;
            const bool is_over = learnt_.wait_until(lock, deadline.at(), [&] { return lessons_ != lesson; });
            return is_over ? outcome_ : make_error_code(Errc::timeout);
        }
        if (lessons_ != 0 && Clock::now() < learnt_at_ + least_age) return outcome_;
        is_learning_ = true;
        lock.unlock();
        std::error_code error;
        try {
            error = ask_someone(deadline);
        } catch (...) {
            error = Errc::no_memory;
        }
        lock.lock();
        is_learning_ = false;
        outcome_ = error;
        learnt_at_ = Clock::now();
        ++lessons_;
        lock.unlock();
        learnt_.notify_all();
        return error;
    }

    /// In a forked child. A thread of the parent may have held the lock, for ever; then nothing can be looked at, and the
    /// descriptors stay open until the child ends.
    void abandon() noexcept {
        const std::unique_lock lock{mutex_, std::try_to_lock};
        if (!lock.owns_lock()) return;
        for (const Member& member : members_) member->node().abandon();
    }

    void add_to(RedisStats& stats) const {
        const std::lock_guard lock{mutex_};
        stats.breaker_openings = departed_openings_;
        for (const Member& member : members_) {
            RedisNodeStats node;
            node.address = to_string(member->address());
            node.connections = member->node().combiner().open_connections();
            node.breaker_openings = member->breaker().openings();
            node.breaker_is_open = member->breaker().is_open();
            stats.connections += node.connections;
            stats.breaker_openings += node.breaker_openings;
            stats.breaker_is_open = stats.breaker_is_open || node.breaker_is_open;
            stats.nodes.push_back(std::move(node));
        }
    }

private:
    Member make(HostPort address) const {
        return std::make_shared<ClusterNode>(std::move(address), url_, options_, counters_);
    }
    static Member find(const std::vector<Member>& among, const HostPort& address) noexcept {
        const auto known = std::find_if(among.begin(), among.end(),
                                        [&](const Member& member) { return member->address() == address; });
        return known == among.end() ? nullptr : *known;
    }

    /// The seeds and all who are known, one after the other, until one tells. One that is silent takes all the time that
    /// there is, since a slow network needs it, and comes last the next time.
    std::error_code ask_someone(const Deadline& deadline) {
        std::error_code worst;
        const auto candidates = whom_to_ask();
        for (const Member& node : candidates) {
            if (deadline.has_passed()) break;
            const auto error = ask(*node, deadline);
            if (!error) return {};
            node->doubt(true);
            // What an operator has to know is not hidden by another node's absence.
            const bool is_absence = worst == Errc::refused || worst == Errc::timeout || worst == Errc::unresolved ||
                                    worst == Errc::disconnected;
            if (!worst || is_absence) worst = error;
        }
        return worst ? worst : make_error_code(Errc::timeout);
    }

    std::error_code ask(ClusterNode& node, const Deadline& deadline) {
        Counters::add(counters_.map_requests, 1);
        ClusterSlots answer{node.address().host};
        const auto connection = std::make_unique<Connection>(node.node().server());
        if (const auto error = connection->ask(answer, deadline)) return error;
        if (answer.ranges().empty()) return Errc::busy;  // a cluster that is just being made
        adopt(answer.ranges());
        return {};
    }

    /// Nobody twice, those first of whom nothing bad is known, and each time beginning with another.
    std::vector<Member> whom_to_ask() {
        std::vector<Member> candidates = all();
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

    /// Those who have left are closed with the last call that they are asked, except where a redirection named them: a node
    /// that is just getting its first slots is in nobody's map.
    void adopt(std::span<const SlotRange> ranges) {
        SlotMap map{ranges};
        std::vector<Member> members;
        members.reserve(map.nodes().size());
        const std::lock_guard lock{mutex_};
        for (const HostPort& address : map.nodes()) {
            Member known = find(members_, address);
            if (!known) known = find(seeds_, address);
            members.push_back(known ? std::move(known) : make(address));
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

    const RedisUrl& url_;
    const RedisOptions& options_;
    Counters& counters_;
    std::vector<Member> seeds_;  // by the names in the URL
    std::size_t turn_ = 0;       // changed by whoever learns

    mutable std::mutex mutex_;
    SlotMap map_;
    std::vector<Member> members_;  // by their numbers in the map
    std::uint64_t departed_openings_ = 0;

    std::mutex learning_;
    std::condition_variable learnt_;
    bool is_learning_ = false;
    std::uint64_t lessons_ = 0;
    Clock::time_point learnt_at_{};
    std::error_code outcome_{};
};

}  // namespace sluice::detail::redis

#endif
