// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_CLUSTER_ROUTING_HPP
#define SLUICE_REDIS_LINK_CLUSTER_ROUTING_HPP

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <system_error>

#include <sluice/error.hpp>
#include <sluice/redis/redis_stats.hpp>
#include <sluice/redis/wire/call.hpp>
#include <sluice/redis/wire/redirection.hpp>

namespace sluice::detail::redis {

/// How a call gets to the node of a cluster that answers it, without input, output or waiting: its client tells how a step
/// ended and is told the next one. A call is sent again only where the answer proves that nothing was done, at most
/// max_steps times; after TRYAGAIN until the deadline. As thread-safe as the Table, which is used as a ClusterTable. May throw std::bad_alloc.
template <class Table>
class ClusterRouting {
public:
    using Member = typename Table::Member;
    enum class Next : std::uint8_t {
        finish,  ///< it is over, with the call's error
        send,    ///< to `to`; then answered()
        pause,   ///< for pause_time, then send
        learn,   ///< have the map of slots told anew; then learnt()
    };
    struct Step {
        Next next = Next::finish;
        Member to{};
        bool waits = false;  ///< also for a map that another call has asked for
    };

    static constexpr int max_steps = 5;
    static constexpr std::chrono::milliseconds pause_time{5};

    ClusterRouting(Table& table, Counters& counters) : table_(table), counters_(counters) {}

    /// The first step: to the slot's owner. Where that is doubted, to learn; who must not wait may send to `to` instead.
    Step begin(const RoutedCall& call) const {
        Step step{Next::send, table_.owner(call.slot)};
        step.waits = !step.to;
        if (!step.to || step.to->is_doubted()) step.next = Next::learn;
        return step;
    }

    /// After the map was asked for, which ended with `error`: to the slot's owner, unless that was the last one asked.
    Step learnt(RoutedCall& call, const std::error_code& error) {
        const Member owner = table_.owner(call.slot);
        if (!owner && call.asked_node == 0) call.error = error ? error : make_error_code(Errc::busy);
        if (!owner || owner->number == call.asked_node) return finish(call);
        return call.asked_node == 0 ? Step{Next::send, owner} : again(call, Next::send, owner);
    }

    /// `asked` has answered, or could not be asked; there is so much time `left`.
    Step answered(RoutedCall& call, const Member& asked, std::chrono::nanoseconds left) {
        using Kind = Redirection::Kind;
        const Kind kind = call.redirection.kind;
        asked->doubt(is_doubtful(call));
        call.asked_node = asked->number;
        if (kind == Kind::try_again) {  // a slot takes as long as it takes to be moved: the deadline ends that
            if (left <= pause_time) return finish(call);
            call.alone = true;
            return again(call, Next::pause, asked);
        }
        if (left.count() <= 0 || !was_not_done(call) || ++call.steps > max_steps) return finish(call);
        call.asking = kind == Kind::ask;
        // The breaker's word is known without asking.
        if (!call.redirection.names_node()) return {Next::learn, nullptr, call.error != Errc::breaker_open};
        const Member to = table_.named(call.redirection.to, *asked);
        if (!to) return finish(call);
        if (kind == Kind::moved) table_.assign(call.slot, to);
        return again(call, Next::send, to);
    }

private:
    static Step finish(RoutedCall& call) noexcept {
        call.give_up();
        return {};
    }
    Step again(RoutedCall& call, Next next, const Member& to) const {
        Counters::add(counters_.redirections, 1);
        call.error.clear();
        call.redirection = {};
        return {next, to};
    }

    static bool is_one_of(const std::error_code& error, std::initializer_list<Errc> some) noexcept {
        return error && std::any_of(some.begin(), some.end(), [&](Errc errc) { return error == errc; });
    }
    /// Never sent, or turned away, or told by a server that did not write: the first write of a script fails.
    static bool was_not_done(const RoutedCall& call) noexcept {
        return call.redirection.kind != Redirection::Kind::none ||
               is_one_of(call.error,
                         {Errc::refused, Errc::unresolved, Errc::breaker_open, Errc::read_only, Errc::loading});
    }
    /// What casts doubt on the node that was asked: another may serve in its place by now.
    static bool is_doubtful(const RoutedCall& call) noexcept {
        return call.redirection.kind == Redirection::Kind::down ||
               is_one_of(call.error, {Errc::timeout, Errc::refused, Errc::disconnected, Errc::unresolved,
                                      Errc::breaker_open, Errc::authentication, Errc::read_only, Errc::loading});
    }

    Table& table_;
    Counters& counters_;
};

}  // namespace sluice::detail::redis

#endif
