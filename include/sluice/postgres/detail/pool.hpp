// SPDX-License-Identifier: MIT
#ifndef SLUICE_POSTGRES_DETAIL_POOL_HPP
#define SLUICE_POSTGRES_DETAIL_POOL_HPP

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <vector>

#include <sluice/remote/deadline.hpp>
#include <sluice/remote/fork_check.hpp>
#include <sluice/postgres/detail/connection.hpp>
#include <sluice/postgres/detail/dialer.hpp>
#include <sluice/postgres/detail/target.hpp>

namespace sluice::postgres {

/// A few connections, each lent to one call at a time; none is open until it is needed. Thread-safe; no lock is held
/// during input and output.
class Pool {
public:
    Pool(const Target& target, std::size_t connections)
        : owner_(detail::remote::ForkCheck::get()), dialer_(target), connections_(connections) {
        for (Connection& connection : connections_) free_.push_back(&connection);
    }

    /// A forked child inherits the connections of its parent and must not use them.
    bool is_inherited() const noexcept { return owner_ != detail::remote::ForkCheck::get(); }
    /// Called in a forked child, where no other thread runs and the mutex may be locked for ever.
    void abandon() noexcept {
        for (Connection& connection : connections_) connection.abandon();
    }

    Dialer& dialer() noexcept { return dialer_; }

    /// The one used last of those that are free; nullptr where none comes free in time.
    Connection* take(const detail::remote::Deadline& deadline) {
        std::unique_lock lock{mutex_};
        if (!available_.wait_until(lock, deadline.at(), [&] { return !free_.empty(); })) return nullptr;
        Connection* const connection = free_.back();
        free_.pop_back();
        return connection;
    }
    void give_back(Connection* connection) noexcept {
        {
            const std::lock_guard lock{mutex_};
            free_.push_back(connection);  // has room for all from the beginning
        }
        available_.notify_one();
    }

    std::size_t open_connections() const noexcept {
        std::size_t count = 0;
        for (const Connection& connection : connections_) count += connection.is_open() ? 1U : 0U;
        return count;
    }

private:
    const pid_t owner_;
    Dialer dialer_;
    std::deque<Connection> connections_;
    std::mutex mutex_;
    std::condition_variable available_;
    std::vector<Connection*> free_;
};

}  // namespace sluice::postgres

#endif
