// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_QUERY_HPP
#define SLUICE_REDIS_LINK_QUERY_HPP

#include <algorithm>
#include <chrono>
#include <optional>
#include <system_error>
#include <utility>

#include <sluice/error.hpp>
#include <sluice/redis/link/dial.hpp>
#include <sluice/redis/link/server.hpp>
#include <sluice/remote/watch.hpp>

namespace sluice::detail::redis {

/// A server's answer to a question that is no call, asked on a connection of its own, which stays open for the next one. A
/// Protocol is used as a Login.
template <class Protocol>
class Query {
public:
    using Deadline = Dial::Deadline;
    using Clock = Dial::Clock;

    Query(Server& server, Dial::Loop* loop) : dial_(server, loop) {}

    bool is_usable() noexcept { return dial_.is_open() && !dial_.stream().is_stale(); }

    template <class... Arguments>
    void begin(const Deadline& deadline, Arguments&&... arguments) {
        protocol_.emplace(std::forward<Arguments>(arguments)...);
        deadline_ = deadline;
        is_under_way_ = true;
        result_.reset();
        if (!dial_.is_open()) {
            dial_.begin(deadline);
            dialled();
        } else {
            go_on();
        }
    }
    const Protocol& protocol() const noexcept { return *protocol_; }
    /// How that ended, once; nothing while it goes on. Closed after an error.
    std::optional<std::error_code> take_result() noexcept { return std::exchange(result_, std::nullopt); }

    // As Dial's; due at once where it has ended.
    std::optional<Watch> watch() const noexcept { return is_under_way_ ? dial_.watch() : std::nullopt; }
    Clock::time_point due() const noexcept {
        if (result_) return Clock::time_point::min();
        return is_under_way_ ? std::min(deadline_.at(), dial_.due()) : Clock::time_point::max();
    }
    void process(int fd, Clock::time_point now) {
        if (!is_under_way_) return;
        if (dial_.is_open()) {
            if (dial_.is_waiting_for(fd)) go_on();
        } else {
            dial_.process(fd, now);
            dialled();
        }
        if (is_under_way_ && now >= deadline_.at()) end(Errc::timeout);
    }

private:
    void dialled() {
        const auto result = dial_.take_result();
        if (!result) return;
        if (*result) return end(*result);
        go_on();
    }
    void go_on() {
        if (const auto ended = dial_.drive(*protocol_)) end(*ended);
    }
    void end(const std::error_code& error) noexcept {
        is_under_way_ = false;
        if (error && dial_.is_open()) dial_.record().server().endpoints.doubt(dial_.record().address());
        if (error) dial_.close();
        result_ = error;
    }

    Dial dial_;
    std::optional<Protocol> protocol_{};
    Deadline deadline_{std::chrono::nanoseconds{0}};
    bool is_under_way_ = false;
    std::optional<std::error_code> result_{};
};

}  // namespace sluice::detail::redis

#endif
