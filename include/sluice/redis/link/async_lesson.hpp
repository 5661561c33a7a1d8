// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_ASYNC_LESSON_HPP
#define SLUICE_REDIS_LINK_ASYNC_LESSON_HPP

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/redis/link/async_context.hpp>
#include <sluice/redis/link/async_query.hpp>
#include <sluice/redis/link/cluster_table.hpp>
#include <sluice/redis/redis_stats.hpp>
#include <sluice/redis/wire/cluster_slots.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/remote/watch.hpp>

namespace sluice::detail::redis {

/// Asks the nodes of a cluster for the map of slots, one after the other, until one tells. One that is silent takes all the
/// time that there is, since a slow network needs it, and comes last the next time. For an event loop. All but the const
/// functions may throw std::bad_alloc, after which abandon() is due.
template <class Node>
class AsyncLesson {
public:
    using Deadline = detail::remote::Deadline;
    using Clock = Deadline::Clock;
    using Table = ClusterTable<Node>;

    AsyncLesson(Table& table, AsyncContext& context) : table_(table), context_(context) {}

    bool is_under_way() const noexcept { return query_ != nullptr; }
    /// Whether the last one ended so long ago, or there was none.
    bool is_older_than(std::chrono::milliseconds age, Clock::time_point now) const noexcept {
        return !has_ended_ || now >= ended_at_ + age;
    }
    /// How the last one went.
    const std::error_code& outcome() const noexcept { return outcome_; }

    void begin() {
        deadline_ = Deadline{context_.options.timeout};
        worst_.clear();
        next_ = 0;
        candidates_ = table_.whom_to_ask();
        ask_next();
    }
    void abandon() noexcept { end(Errc::no_memory); }

    std::optional<Watch> watch() const noexcept { return is_under_way() ? query_->watch() : std::nullopt; }
    Clock::time_point due() const noexcept { return is_under_way() ? query_->due() : Clock::time_point::max(); }

    /// True where it has ended by that.
    bool process(int fd, Clock::time_point now) {
        if (!is_under_way()) return false;
        query_->process(fd, now);
        while (is_under_way()) {
            const auto ended = query_->take_result();
            if (!ended) return false;
            const auto error = *ended ? *ended : table_.adopt(query_->protocol());
            if (!error) {
                end({});
                break;
            }
            candidates_[next_ - 1]->doubt(true);
            worst_ = Table::worse(worst_, error);
            if (next_ == candidates_.size() || deadline_.has_passed()) {
                end(worst_);
            } else {
                ask_next();
            }
        }
        return true;
    }

private:
    void ask_next() {
        Node& node = *candidates_[next_++];
        Counters::add(context_.counters.map_requests, 1);
        query_ = std::make_unique<AsyncQuery<ClusterSlots>>(node.server(), context_);
        query_->begin(deadline_, node.address().host);
    }
    void end(const std::error_code& error) noexcept {
        query_.reset();
        candidates_.clear();
        outcome_ = error;
        has_ended_ = true;
        ended_at_ = Clock::now();
    }

    Table& table_;
    AsyncContext& context_;
    std::vector<typename Table::Member> candidates_{};
    std::size_t next_ = 0;
    Deadline deadline_{std::chrono::nanoseconds{0}};
    std::error_code worst_{};
    std::unique_ptr<AsyncQuery<ClusterSlots>> query_{};
    bool has_ended_ = false;
    std::error_code outcome_{};
    Clock::time_point ended_at_{};
};

}  // namespace sluice::detail::redis

#endif
