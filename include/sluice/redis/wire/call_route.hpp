// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_WIRE_CALL_ROUTE_HPP
#define SLUICE_REDIS_WIRE_CALL_ROUTE_HPP

#include <chrono>
#include <cstdint>

#include <sluice/error.hpp>
#include <sluice/redis/wire/call.hpp>
#include <sluice/redis/wire/redirection.hpp>

namespace sluice::detail::redis {

/// What to do with a call to a cluster once it is answered: whether, and where, it is to be sent again. That only happens
/// where the answer proves that nothing was done, and a bounded number of times. One for each call.
class CallRoute {
public:
    enum class Step : std::uint8_t {
        finish,   ///< the answer is final
        follow,   ///< ask the node that the redirection names
        look_up,  ///< ask whom the map of slots names now, after it was learnt anew; final if it names the same node
        pause,    ///< ask the same node in a moment
    };

    static constexpr int max_steps = 5;
    static constexpr std::chrono::milliseconds pause_time{5};

    /// Makes the call ready for the next attempt, or its error one for the caller.
    Step after(RoutedCall& call) noexcept {
        Step step = step_for(call);
        const bool waits = step == Step::pause;  // a slot takes as long as it takes: the deadline ends that
        if (step != Step::finish && !waits && ++steps_ > max_steps) step = Step::finish;
        if (step != Step::finish) {
            call.asking = call.redirection.kind == Redirection::Kind::ask || (waits && call.asking);
            call.alone = call.alone || waits;
        } else {
            give_up(call);
        }
        return step;
    }

    /// Where a step cannot be done: a cluster that is being changed is busy.
    static void give_up(RoutedCall& call) noexcept {
        if (call.redirection.kind != Redirection::Kind::none) call.error = Errc::busy;
    }

    /// What casts doubt on the node that was asked: another may serve in its place by now.
    static bool is_doubtful(const RoutedCall& call) noexcept {
        for (const Errc errc : {Errc::timeout, Errc::refused, Errc::disconnected, Errc::unresolved, Errc::breaker_open,
                                Errc::authentication, Errc::read_only, Errc::loading}) {
            if (call.error == errc) return true;
        }
        return call.redirection.kind == Redirection::Kind::down;
    }

private:
    static Step step_for(const RoutedCall& call) noexcept {
        switch (call.redirection.kind) {
            case Redirection::Kind::moved:
            case Redirection::Kind::ask: return call.redirection.names_node() ? Step::follow : Step::look_up;
            case Redirection::Kind::try_again: return Step::pause;
            case Redirection::Kind::down: return Step::look_up;
            case Redirection::Kind::none: break;
        }
        // Never sent, or told by a server that did not write: the first write of a script fails.
        const bool was_not_done = call.error == Errc::refused || call.error == Errc::unresolved ||
                                  call.error == Errc::breaker_open || call.error == Errc::read_only ||
                                  call.error == Errc::loading;
        return was_not_done ? Step::look_up : Step::finish;
    }

    int steps_ = 0;
};

}  // namespace sluice::detail::redis

#endif
