// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_TOPOLOGY_HPP
#define SLUICE_REDIS_LINK_TOPOLOGY_HPP

#include <span>
#include <system_error>
#include <utility>

#include <sluice/redis/redis_options.hpp>
#include <sluice/redis/redis_stats.hpp>
#include <sluice/redis/redis_url.hpp>
#include <sluice/redis/wire/call.hpp>
#include <sluice/remote/deadline.hpp>

namespace sluice::detail::redis {

/// Which servers there are, and to which of them calls go. Thread-safe.
class Topology {
public:
    using Deadline = detail::remote::Deadline;

    /// Throws std::invalid_argument for bad options.
    Topology(RedisUrl url, RedisOptions options) : url_(std::move(url)), options_(std::move(options)) {
        options_.checked();
    }
    Topology(const Topology&) = delete;
    Topology& operator=(const Topology&) = delete;
    virtual ~Topology() = default;

    const RedisOptions& options() const noexcept { return options_; }
    Counters& counters() noexcept { return counters_; }

    /// Whether calls have to tell their slot, and thus to keep to one.
    virtual bool has_slots() const noexcept = 0;

    /// Leads calls to their answers; a breaker may answer instead of a server. May throw std::bad_alloc before.
    virtual void run(std::span<ScriptCall> calls, const Deadline& deadline) = 0;

    /// Whether decisions could be made, asked on connections of its own and past the breakers: neither does it hold calls
    /// up, nor do they hide how the servers are.
    virtual std::error_code ping(const Deadline& deadline) = 0;

    virtual RedisStats stats() const noexcept = 0;

protected:
    const RedisUrl& url() const noexcept { return url_; }
    const Counters& counters() const noexcept { return counters_; }

private:
    const RedisUrl url_;
    const RedisOptions options_;
    Counters counters_;
};

}  // namespace sluice::detail::redis

#endif
