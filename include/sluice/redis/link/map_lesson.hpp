// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_MAP_LESSON_HPP
#define SLUICE_REDIS_LINK_MAP_LESSON_HPP

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/redis/link/query.hpp>
#include <sluice/redis/redis_stats.hpp>
#include <sluice/redis/wire/cluster_slots.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/remote/loop.hpp>
#include <sluice/remote/watch.hpp>

namespace sluice::detail::redis {

/// Asks the nodes of a cluster for the map of slots, one after the other, until one tells. One that is silent takes all the
/// time that there is, since a slow network needs it, and comes last the next time. Waits as a Dial does. A Table is used
/// as a ClusterTable. All but the const functions may throw std::bad_alloc, after which abandon() is due.
template <class Table>
class MapLesson {
public:
    using Deadline = detail::remote::Deadline;
    using Clock = Deadline::Clock;

    MapLesson(Table& table, Counters& counters, detail::remote::Loop* loop)
        : table_(table), counters_(counters), loop_(loop) {}

    bool is_under_way() const noexcept { return query_ != nullptr; }
    void begin(const Deadline& deadline) {
        deadline_ = deadline;
        worst_.clear();
        next_ = 0;
        candidates_ = table_.whom_to_ask();
        ask_next();
    }
    void abandon() noexcept { end(Errc::no_memory); }
    /// How it went, once; nothing while it goes on.
    std::optional<std::error_code> take_result() noexcept { return std::exchange(result_, std::nullopt); }

    std::optional<Watch> watch() const noexcept { return is_under_way() ? query_->watch() : std::nullopt; }
    Clock::time_point due() const noexcept { return is_under_way() ? query_->due() : Clock::time_point::max(); }
    void process(int fd, Clock::time_point now) {
        if (!is_under_way()) return;
        query_->process(fd, now);
        while (const auto ended = is_under_way() ? query_->take_result() : std::nullopt) {
            const auto error = *ended ? *ended : table_.adopt(query_->protocol());
            if (!error) return end(error);
            candidates_[next_ - 1]->doubt(true);
            // What an operator has to know is not hidden by another's absence.
            const bool was_absent = worst_ == Errc::refused || worst_ == Errc::timeout || worst_ == Errc::unresolved ||
                                    worst_ == Errc::disconnected;
            if (!worst_ || was_absent) worst_ = error;
            if (next_ == candidates_.size() || deadline_.has_passed()) return end(worst_);
            ask_next();
        }
    }

private:
    void ask_next() {
        auto& node = *candidates_[next_++];
        Counters::add(counters_.map_requests, 1);
        query_ = std::make_unique<Query<ClusterSlots>>(node.server(), loop_);
        query_->begin(deadline_, node.address().host);
    }
    void end(const std::error_code& error) noexcept {
        query_.reset();
        candidates_.clear();
        result_ = error;
    }

    Table& table_;
    Counters& counters_;
    detail::remote::Loop* const loop_;
    std::vector<typename Table::Member> candidates_{};
    std::size_t next_ = 0;
    Deadline deadline_{std::chrono::nanoseconds{0}};
    std::error_code worst_{};
    std::unique_ptr<Query<ClusterSlots>> query_{};
    std::optional<std::error_code> result_{};
};

}  // namespace sluice::detail::redis

#endif
