// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_ASYNC_CLUSTER_HPP
#define SLUICE_REDIS_LINK_ASYNC_CLUSTER_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <new>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/redis/link/async_call.hpp>
#include <sluice/redis/link/async_node.hpp>
#include <sluice/redis/link/async_topology.hpp>
#include <sluice/redis/link/cluster_routing.hpp>
#include <sluice/redis/link/cluster_table.hpp>
#include <sluice/redis/link/map_lesson.hpp>
#include <sluice/redis/redis_stats.hpp>
#include <sluice/redis/wire/host_port.hpp>
#include <sluice/redis/wire/redirection.hpp>
#include <sluice/remote/breaker.hpp>
#include <sluice/remote/watch.hpp>

namespace sluice::detail::redis {

/// A node of a cluster, for an event loop, and the calls that have to do with it.
struct AsyncClusterNode : NodeRecord {
    using Clock = AsyncNode::Clock;

    AsyncClusterNode(const HostPort& address, AsyncContext& context)
        : NodeRecord(address), node({address.host, address.port, {}}, context, answered) {}

    const detail::remote::Breaker& breaker() const noexcept { return node.breaker(); }
    std::size_t open_connections() const noexcept { return node.open_connections(); }
    Server& server() noexcept { return node.server(); }

    bool has_calls() const noexcept { return node.has_calls() || !answered.empty() || !pausing.empty(); }
    Clock::time_point due() const noexcept {
        if (!answered.empty()) return Clock::time_point::min();
        return pausing.empty() ? node.due() : std::min(node.due(), resumes_at);
    }

    AsyncCallList answered{};
    AsyncCallList pausing{};  ///< that are asked again at `resumes_at`
    Clock::time_point resumes_at{};
    bool was_asked = false;  ///< and has not been processed since
    AsyncNode node;
};

/// What ClusterTopology is for threads, for an event loop: each call goes to the master that serves its slot, and where it
/// is turned away, to where it belongs, within its deadline. All masters are talked to at once, and one that is lost fails
/// the calls of its slots alone.
class AsyncCluster final : public AsyncTopology {
public:
    explicit AsyncCluster(AsyncContext& context)
        : context_(context),
          table_(context.url,
                 [&context](const HostPort& address) { return std::make_shared<AsyncClusterNode>(address, context); }),
          routing_(table_, context.counters), lesson_(table_, context.counters, &context.loop) {}

    void ask(AsyncCall& call, Clock::time_point now) noexcept override {
        guarded(call, [&] {
            if ((call.error = call.find_slot(context_.scratch))) return context_.ready.push_back(call);
            auto step = routing_.begin(call);
            if (step.next == Next::learn && step.to) {  // unlike a thread, the call does not wait for the map
                want_map(now, least_map_age_doubted);
                step.next = Next::send;
            }
            take(call, step, now);
        });
    }

    void process(int fd) noexcept override {
        const auto now = Clock::now();
        learn(fd, now);
        while (lost_.earliest() <= now) {
            AsyncCall& call = *lost_.pop_front();
            if (!call.error) call.error = Errc::timeout;
            call.give_up();
            context_.ready.push_back(call);
        }
        each_node([&](AsyncClusterNode& node) {
            node.was_asked = false;
            node.node.process(fd);
            while (!node.pausing.empty() && node.resumes_at <= now) send(*node.pausing.pop_front(), node, now);
        });
        // What was turned away goes on at once; that ends, since each call does so a few times at most.
        while (route_answered(now)) {
            each_node([&](AsyncClusterNode& node) {
                if (std::exchange(node.was_asked, false)) node.node.process(-1);
            });
        }
        if (wants_map_) learn(-1, now);
        departed_.erase(std::remove_if(departed_.begin(), departed_.end(),
                                       [](const Member& member) { return !member->has_calls(); }),
                        departed_.end());
    }

    void fail_all(std::error_code why) noexcept override {
        const auto fail = [&](AsyncCallList& calls) {
            while (!calls.empty()) {
                AsyncCall& call = *calls.pop_front();
                call.error = why;
                context_.ready.push_back(call);
            }
        };
        fail(lost_);
        each_node([&](AsyncClusterNode& node) {
            node.node.fail_all(why);
            fail(node.answered);
            fail(node.pausing);
        });
    }

    void watch(std::vector<Watch>& watches) const override {
        if (const auto watch = lesson_.watch()) watches.push_back(*watch);
        each_node([&](const AsyncClusterNode& node) { node.node.watch(watches); });
    }
    Clock::time_point due() const noexcept override {
        if (wants_map_) return Clock::time_point::min();
        auto due = std::min(lesson_.due(), lost_.earliest());
        each_node([&](const AsyncClusterNode& node) { due = std::min(due, node.due()); });
        return due;
    }

    void add_to(RedisStats& stats) const override { table_.add_to(stats); }

private:
    using Table = ClusterTable<AsyncClusterNode>;
    using Member = Table::Member;
    using Routing = ClusterRouting<Table>;
    using Next = Routing::Next;

    template <class F>
    void each_node(F f) const {
        for (const auto* const nodes : {&table_.all(), &departed_}) {
            for (const Member& member : *nodes) f(*member);
        }
    }
    /// A call that cannot go on for want of memory ends.
    template <class F>
    void guarded(AsyncCall& call, F f) noexcept {
        try {
            f();
        } catch (const std::bad_alloc&) {
            call.error = Errc::no_memory;
            call.redirection = {};
            context_.ready.push_back(call);
        }
    }

    void send(AsyncCall& call, AsyncClusterNode& to, Clock::time_point now) noexcept {
        to.was_asked = true;
        to.node.ask(call, now);
    }
    void take(AsyncCall& call, const Routing::Step& step, Clock::time_point now) {
        switch (step.next) {
            case Next::finish: return context_.ready.push_back(call);
            case Next::send: return send(call, *step.to, now);
            case Next::pause:
                if (step.to->pausing.empty()) step.to->resumes_at = now + Routing::pause_time;
                return step.to->pausing.insert(call);
            case Next::learn: break;
        }
        const bool is_first = want_map(now, least_map_age_doubted);
        const bool waits = is_map_coming() && (is_first || step.waits);
        if (waits && lost_.size() < context_.options.max_waiting) return lost_.insert(call);
        const auto outcome = waits ? make_error_code(Errc::busy) : outcome_;
        take(call, routing_.learnt(call, outcome), now);
    }

    /// Whether by this there is a new lesson to come, which begins with process().
    bool want_map(Clock::time_point now, std::chrono::milliseconds least_age) noexcept {
        const bool is_first = !is_map_coming() && (!learnt_at_ || now >= *learnt_at_ + least_age);
        wants_map_ = wants_map_ || is_first;
        return is_first;
    }
    bool is_map_coming() const noexcept { return wants_map_ || lesson_.is_under_way(); }

    /// Begins with a lesson that is wanted or goes on with it, and then with those who wait for it.
    void learn(int fd, Clock::time_point now) noexcept {
        const bool was_wanted = std::exchange(wants_map_, false);
        try {
            if (was_wanted) lesson_.begin(AsyncNode::Deadline{context_.options.timeout});
            const auto before = lesson_.is_under_way() ? table_.all() : std::vector<Member>{};
            departed_.reserve(departed_.size() + before.size());
            lesson_.process(fd, now);
            for (const Member& member : before) {
                const auto& all = table_.all();
                const bool has_left = std::find(all.begin(), all.end(), member) == all.end();
                if (has_left && member->has_calls()) departed_.push_back(member);
            }
        } catch (const std::bad_alloc&) {
            lesson_.abandon();
        }
        const auto ended = lesson_.take_result();
        if (!ended) return;
        learnt_at_ = Clock::now();
        outcome_ = *ended;
        AsyncCallList lost;
        lost.swap(lost_);
        while (!lost.empty()) {
            AsyncCall& call = *lost.pop_front();
            guarded(call, [&] { take(call, routing_.learnt(call, outcome_), now); });
        }
    }

    /// Finishes the calls that are answered, or sends them on; false where there were none.
    bool route_answered(Clock::time_point now) noexcept {
        bool any = false;
        const auto route = [&](const Member& member) {
            while (!member->answered.empty()) {
                any = true;
                AsyncCall& call = *member->answered.pop_front();
                if (call.redirection.kind == Redirection::Kind::moved) want_map(now, least_map_age_redirected);
                guarded(call, [&] { take(call, routing_.answered(call, member, call.deadline - now), now); });
            }
        };
        // A redirection may add a node at the end.
        for (std::size_t i = 0; i != table_.all().size(); ++i) route(Member{table_.all()[i]});
        for (const Member& member : departed_) route(member);
        return any;
    }

    AsyncContext& context_;
    Table table_;
    Routing routing_;
    MapLesson<Table> lesson_;
    bool wants_map_ = false;
    std::optional<Clock::time_point> learnt_at_{};
    std::error_code outcome_{};       // of the last lesson
    AsyncCallList lost_{};            // that wait for the map
    std::vector<Member> departed_{};  // that are in the table no more, with calls
};

}  // namespace sluice::detail::redis

#endif
