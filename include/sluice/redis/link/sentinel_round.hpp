// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_SENTINEL_ROUND_HPP
#define SLUICE_REDIS_LINK_SENTINEL_ROUND_HPP

#include <cstddef>
#include <system_error>

#include <sluice/error.hpp>
#include <sluice/remote/deadline.hpp>

namespace sluice::detail::redis {

/// Which sentinels are asked, one after the other, for how long each, and what is to be told where none answers. The one
/// that is connected comes first, with a quarter of the time; then all, within a half: the master has to be dialled, too.
class SentinelRound {
public:
    using Deadline = detail::remote::Deadline;

    SentinelRound(std::size_t count, std::size_t first, const Deadline& deadline) noexcept
        : count_(count), first_(first), deadline_(deadline), all_(deadline.share(2)) {}

    Deadline time_of_connected() const noexcept { return deadline_.share(4); }
    void connected_failed(const std::error_code& error) noexcept {
        if (error == Errc::timeout) first_ = (first_ + 1) % count_;
        all_ = deadline_.share(2);
    }

    bool has_next() const noexcept { return asked_ != count_; }
    std::size_t next() const noexcept { return (first_ + asked_) % count_; }
    Deadline time_of_next() const noexcept { return all_.share(static_cast<int>(count_ - asked_)); }
    void next_failed(const std::error_code& error) noexcept {
        ++asked_;
        if (error == Errc::no_memory) asked_ = count_;
        if (error != Errc::misconfigured) error_ = error;
    }
    /// Errc::misconfigured where no sentinel knows a master of that name.
    const std::error_code& error() const noexcept { return error_; }

private:
    std::size_t count_;
    std::size_t first_;
    std::size_t asked_ = 0;
    Deadline deadline_;
    Deadline all_;
    std::error_code error_ = Errc::misconfigured;
};

}  // namespace sluice::detail::redis

#endif
