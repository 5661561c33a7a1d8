// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_CLUSTER_MEMBERS_HPP
#define SLUICE_REDIS_LINK_CLUSTER_MEMBERS_HPP

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <system_error>
#include <utility>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/redis/link/client_config.hpp>
#include <sluice/redis/link/cluster_table.hpp>
#include <sluice/redis/link/map_lesson.hpp>
#include <sluice/redis/link/node.hpp>
#include <sluice/redis/redis_stats.hpp>
#include <sluice/redis/wire/cluster_slots.hpp>
#include <sluice/redis/wire/host_port.hpp>
#include <sluice/redis/wire/slot.hpp>
#include <sluice/remote/deadline.hpp>

namespace sluice::detail::redis {

/// A node of a cluster. Closed when nobody refers to it any more. Thread-safe.
struct ClusterNode : NodeRecord, Node {
    ClusterNode(const HostPort& address, ClientConfig& config)
        : NodeRecord(address), Node({address.host, address.port, {}}, config) {}
};

/// Who serves which slot, as far as this process knows. It is learnt from CLUSTER SLOTS, asked by one caller at a time,
/// and from redirections; those who need it later profit, and nobody else waits. Thread-safe.
class ClusterMembers {
public:
    using Deadline = detail::remote::Deadline;
    using Clock = Deadline::Clock;
    using Table = ClusterTable<ClusterNode>;
    using Member = Table::Member;

    explicit ClusterMembers(ClientConfig& config)
        : counters_(config.counters), table_(config.url, [&config](const HostPort& address) {
              return std::make_shared<ClusterNode>(address, config);
          }) {}

    // See ClusterTable.
    Member owner(Slot slot) {
        const std::lock_guard lock{mutex_};
        return table_.owner(slot);
    }
    Member named(HostPort address, const ClusterNode& by) {
        const std::lock_guard lock{mutex_};
        return table_.named(std::move(address), by);
    }
    void assign(Slot slot, const Member& owner) {
        const std::lock_guard lock{mutex_};
        table_.assign(slot, owner);
    }
    std::vector<Member> all() const {
        const std::lock_guard lock{mutex_};
        return table_.all();
    }
    bool is_complete() const {
        const std::lock_guard lock{mutex_};
        return table_.is_complete();
    }
    std::vector<Member> whom_to_ask() {
        const std::lock_guard lock{mutex_};
        return table_.whom_to_ask();
    }
    std::error_code adopt(const ClusterSlots& answer) {
        const std::lock_guard lock{mutex_};
        return table_.adopt(answer);
    }
    void add_to(RedisStats& stats) const {
        const std::lock_guard lock{mutex_};
        table_.add_to(stats);
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
            MapLesson<ClusterMembers> lesson{*this, counters_, nullptr};
            lesson.begin(deadline);
            error = await(lesson);
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
        for (const Member& member : table_.all()) member->abandon();
    }

private:
    Counters& counters_;
    mutable std::mutex mutex_;
    Table table_;

    std::mutex learning_;
    std::condition_variable learnt_;
    bool is_learning_ = false;
    std::uint64_t lessons_ = 0;
    Clock::time_point learnt_at_{};
    std::error_code outcome_{};
};

}  // namespace sluice::detail::redis

#endif
