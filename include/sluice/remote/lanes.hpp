// SPDX-License-Identifier: MIT
#ifndef SLUICE_REMOTE_LANES_HPP
#define SLUICE_REMOTE_LANES_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <vector>

#include <sluice/remote/breaker.hpp>
#include <sluice/remote/deadline.hpp>

namespace sluice::detail::remote {

/// What follows from how calls on a connection went.
struct Outcome {
    Breaker::Evidence evidence = Breaker::Evidence::nothing;
    bool is_useless = false;  ///< it could not be dialled, or what was dialled did not serve
    bool is_over = false;     ///< the connection has to be closed
};

/// A connection, and what the combiner remembers of it. A link tells what servers of a kind are talked to with:
///
///     Server                                              // with options.connections and .max_waiting
///     Call                                                // with an error, and the number of its decisions
///     CallSet                                             // copies of calls; see redis/wire/call_set.hpp
///     Connection{Server&}                                 // is_open(), abandon()
///     Outcome Connection::perform(CallSet&, const Deadline&) noexcept   // each call is answered, or has an error
template <class Link>
struct Lane {
    using Clock = Deadline::Clock;

    explicit Lane(typename Link::Server& server) : connection(server) {}

    typename Link::Connection connection;
    typename Link::CallSet alone;  ///< the calls of a thread that found the lane free
    bool is_open = false;          ///< when it was last given back
    std::chrono::milliseconds pause{0};
    Clock::time_point rests_until{};
};

/// Which lanes are free. One that is open is preferred to one that would have to be dialled, and one that could not be
/// dialled rests for a while as long as others can serve: it fails so quickly that it would be free most of the
/// time, and draw the calls. Not thread-safe but for open_connections().
template <class Link>
class Lanes {
public:
    using Lane = remote::Lane<Link>;

    Lanes(typename Link::Server& server, std::size_t count) {
        for (std::size_t i = 0; i != count; ++i) free_.push_back(&lanes_.emplace_back(server));
    }

    void abandon() noexcept {
        for (Lane& lane : lanes_) lane.connection.abandon();
    }

    std::size_t open_connections() const noexcept {
        std::size_t count = 0;
        for (const Lane& lane : lanes_) count += lane.connection.is_open() ? 1U : 0U;
        return count;
    }

    /// The open lane that was used last, else one that may be dialled; nullptr if there is none.
    Lane* take() noexcept {
        if (free_.empty()) return nullptr;
        if (free_.back()->is_open) return take_at(free_.size() - 1);
        for (std::size_t i = free_.size(); i-- != 0;) {
            if (free_[i]->is_open) return take_at(i);
        }
        const auto now = Deadline::Clock::now();
        for (std::size_t i = free_.size(); i-- != 0;) {
            if (free_[i]->rests_until <= now) return take_at(i);
        }
        return free_.size() == lanes_.size() ? take_at(0) : nullptr;
    }

    /// A lane that was taken is done with. Whether it may serve the next call at once, or else had better be put back.
    bool returns(Lane& lane, const Outcome& outcome) noexcept {
        lane.is_open = lane.connection.is_open();
        if (!outcome.is_useless) {
            lane.pause = std::chrono::milliseconds{0};
            return true;
        }
        lane.pause = std::clamp(lane.pause * 2, shortest_pause, longest_pause);
        lane.rests_until = Deadline::Clock::now() + lane.pause;
        const bool others_serve = free_.size() + 1 != lanes_.size();
        return !others_serve;
    }

    void put_back(Lane& lane) noexcept { free_.push_back(&lane); }

private:
    static constexpr std::chrono::milliseconds shortest_pause{50};
    static constexpr std::chrono::milliseconds longest_pause{500};

    Lane* take_at(std::size_t index) noexcept {
        Lane* const lane = free_[index];
        free_.erase(free_.begin() + static_cast<std::ptrdiff_t>(index));
        return lane;
    }

    std::deque<Lane> lanes_;   // does not move what is in it
    std::vector<Lane*> free_;  // room for all lanes from the beginning
};

}  // namespace sluice::detail::remote

#endif
