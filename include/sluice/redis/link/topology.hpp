// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_TOPOLOGY_HPP
#define SLUICE_REDIS_LINK_TOPOLOGY_HPP

#include <memory>
#include <span>
#include <system_error>
#include <utility>

#include <sluice/redis/link/client_config.hpp>
#include <sluice/redis/redis_options.hpp>
#include <sluice/redis/redis_stats.hpp>
#include <sluice/redis/wire/call.hpp>
#include <sluice/remote/deadline.hpp>

namespace sluice::detail::redis {

/// Which servers there are, and to which of them calls go. Thread-safe.
class Topology {
public:
    using Deadline = detail::remote::Deadline;

    explicit Topology(std::unique_ptr<ClientConfig> config) noexcept : config_(std::move(config)) {}
    Topology(const Topology&) = delete;
    Topology& operator=(const Topology&) = delete;
    virtual ~Topology() = default;

    const RedisOptions& options() const noexcept { return config_->options; }
    Counters& counters() const noexcept { return config_->counters; }

    /// Whether calls have to tell their slot, and thus to keep to one.
    virtual bool has_slots() const noexcept = 0;

    /// Leads calls to their answers; a breaker may answer instead of a server. May throw std::bad_alloc before.
    virtual void run(std::span<ScriptCall> calls, const Deadline& deadline) = 0;

    /// Whether decisions could be made, asked on connections of its own and past the breakers: neither does it hold calls
    /// up, nor do they hide how the servers are.
    virtual std::error_code ping(const Deadline& deadline) = 0;

    /// See Counters::snapshot_with.
    virtual void add_to(RedisStats& stats) const = 0;

protected:
    ClientConfig& config() const noexcept { return *config_; }

private:
    const std::unique_ptr<ClientConfig> config_;
};

}  // namespace sluice::detail::redis

#endif
