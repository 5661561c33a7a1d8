// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_CLUSTER_TOPOLOGY_HPP
#define SLUICE_REDIS_LINK_CLUSTER_TOPOLOGY_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/redis/link/cluster_members.hpp>
#include <sluice/redis/link/cluster_routing.hpp>
#include <sluice/redis/link/cluster_table.hpp>
#include <sluice/redis/link/node.hpp>
#include <sluice/redis/link/scatter.hpp>
#include <sluice/redis/link/topology.hpp>
#include <sluice/redis/redis_stats.hpp>
#include <sluice/redis/wire/call.hpp>
#include <sluice/redis/wire/ping.hpp>
#include <sluice/redis/wire/redirection.hpp>
#include <sluice/redis/wire/slot.hpp>
#include <sluice/remote/per_process.hpp>

namespace sluice::detail::redis {

/// Each call goes to the master that serves its slot, those of several masters at once. A call that a node turns away, and
/// thus certainly did not do, is sent where it belongs, within its deadline. A master that is lost fails the calls
/// of its slots alone, until another has taken its place. Thread-safe.
class ClusterTopology final : public Topology {
public:
    using Topology::Topology;

    bool has_slots() const noexcept override { return true; }

    void run(std::span<ScriptCall> calls, const Deadline& deadline) override {
        ClusterMembers& members = this->members();
        if (calls.size() == 1) {
            Trip trip{&calls.front()};
            lead(members, {&trip, 1}, deadline);
        } else {
            std::vector<Trip> trips;
            trips.reserve(calls.size());
            for (ScriptCall& call : calls) trips.push_back({&call});
            lead(members, trips, deadline);
        }
    }

    /// Asks every master. Errc::busy where not every slot has one.
    std::error_code ping(const Deadline& deadline) override {
        ClusterMembers& members = this->members();
        if (const auto error = members.learn(deadline, Milliseconds{0}, true)) return error;
        auto left = members.all();
        while (!left.empty()) {
            const auto suffix = suffix_for(members, *left.back());
            const auto share = deadline.share(static_cast<int>(left.size()));
            if (suffix) {
                if (const auto error = left.back()->ping(*suffix, share)) return error;
            }
            left.pop_back();
        }
        return members.is_complete() ? std::error_code{} : make_error_code(Errc::busy);
    }

    void add_to(RedisStats& stats) const override {
        if (const ClusterMembers* const known = members_.peek()) known->add_to(stats);
    }

private:
    using Routing = ClusterRouting<ClusterMembers>;
    using Next = Routing::Next;
    using Milliseconds = std::chrono::milliseconds;

    /// A call on its way to the node that answers it.
    struct Trip {
        ScriptCall* call = nullptr;
        Routing::Step step{};
    };

    void lead(ClusterMembers& members, std::span<Trip> open, const Deadline& deadline) {
        Routing routing{members, counters()};
        bool was_moved = false;
        for (Trip& trip : open) {
            trip.step = routing.begin(*trip.call);
            learn(routing, members, trip, deadline, trip.step.to == nullptr);
        }
        for (;;) {
            const auto is_over = [](const Trip& trip) { return trip.step.next == Next::finish; };
            open = {open.begin(), std::remove_if(open.begin(), open.end(), is_over)};
            if (open.empty()) break;
            if (open.size() == 1) {
                open.front().step.to->combiner().run({open.front().call, 1}, deadline);
            } else {
                send_all(open, deadline);
            }
            bool pauses = false;
            for (Trip& trip : open) {
                was_moved = was_moved || trip.call->redirection.kind == Redirection::Kind::moved;
                trip.step = routing.answered(*trip.call, trip.step.to, deadline.remaining());
                learn(routing, members, trip, deadline, open.size() == 1);
                pauses = pauses || trip.step.next == Next::pause;
            }
            if (pauses) std::this_thread::sleep_for(Routing::pause_time);
        }
        if (was_moved && !deadline.has_passed()) members.learn(deadline, least_map_age_redirected, false);
    }
    /// Where that is the next step; with half of the time where there is something else to do.
    static void learn(Routing& routing, ClusterMembers& members, Trip& trip, const Deadline& deadline, bool is_all) {
        if (trip.step.next != Next::learn) return;
        const auto error = members.learn(deadline.share(is_all ? 1 : 2), least_map_age_doubted, trip.step.waits);
        trip.step = routing.learnt(*trip.call, error);
    }

    /// Those of one node together, in their order; all nodes at once.
    void send_all(std::span<Trip> open, const Deadline& deadline) {
        std::stable_sort(open.begin(), open.end(),
                         [](const Trip& a, const Trip& b) { return std::less<>{}(a.step.to.get(), b.step.to.get()); });
        std::vector<ScriptCall> calls;
        calls.reserve(open.size());
        for (const Trip& trip : open) calls.push_back(*trip.call);
        std::vector<Scatter::Part> parts;
        for (std::size_t begin = 0, end = 0; begin != open.size(); begin = end) {
            ClusterNode& to = *open[begin].step.to;
            while (end != open.size() && open[end].step.to.get() == &to) ++end;
            Scatter::Part& part = parts.emplace_back();
            part.combiner = &to.combiner();
            part.is_doubted = to.is_doubted();
            part.calls = std::span{calls}.subspan(begin, end - begin);
        }
        Scatter::run(parts, deadline);
        for (std::size_t i = 0; i != open.size(); ++i) {
            open[i].call->error = calls[i].error;
            open[i].call->redirection = std::move(calls[i].redirection);
        }
    }

    /// Of a key in one of the node's slots; nothing where it has so few that none is found.
    std::optional<std::string> suffix_for(ClusterMembers& members, const ClusterNode& node) const {
        for (int number = 0; number != 4'096; ++number) {
            auto suffix = ':' + std::to_string(number);
            if (members.owner(slot_of(Ping::key(options().prefix, suffix))).get() == &node) return suffix;
        }
        return std::nullopt;
    }

    ClusterMembers& members() {
        return members_.get([&] { return std::make_unique<ClusterMembers>(config()); });
    }

    detail::remote::PerProcess<ClusterMembers> members_;
};

}  // namespace sluice::detail::redis

#endif
