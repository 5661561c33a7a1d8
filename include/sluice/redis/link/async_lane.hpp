// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_ASYNC_LANE_HPP
#define SLUICE_REDIS_LINK_ASYNC_LANE_HPP

#include <chrono>
#include <cstddef>
#include <new>
#include <system_error>

#include <sluice/error.hpp>
#include <sluice/redis/link/async_call.hpp>
#include <sluice/redis/link/async_connection.hpp>
#include <sluice/redis/link/server.hpp>
#include <sluice/redis/wire/call_set.hpp>
#include <sluice/redis/wire/encoded_keys.hpp>
#include <sluice/remote/breaker.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/remote/loop.hpp>

namespace sluice::detail::redis {

/// A connection of an event loop, and the calls that are on their way on it.
struct AsyncLane {
    using Clock = AsyncConnection::Clock;
    using Stage = AsyncConnection::Stage;
    using Permit = detail::remote::Breaker::Permit;

    /// Of one exchange: as many as a loop serves in a millisecond or two.
    static constexpr std::size_t max_decisions = 512;

    AsyncLane(Server& server, detail::remote::Loop& loop) : connection(server, loop) {}

    AsyncConnection connection;
    AsyncCallList sent{};
    Permit permit = Permit::normal;  ///< of the attempt that is under way
    Clock::time_point rests_until{};

    /// Takes calls off the front of `waiting` to be sent together. Those that need not or cannot be sent get an
    /// `answer(call, why)`.
    template <class Answer>
    void take(AsyncCallList& waiting, EncodedKeys& scratch, Answer answer) noexcept {
        CallSet& calls = connection.calls();
        calls.clear();
        const auto now = Clock::now();
        bool any_late = false;
        while (!waiting.empty() && calls.decisions() < max_decisions) {
            AsyncCall& call = *waiting.pop_front();
            if (call.is_abandoned()) {
                answer(call, Errc::cancelled);
            } else if (call.deadline - now <= connection.round_trip()) {
                any_late = true;
                answer(call, Errc::timeout);
            } else if (const auto error = encode(call, scratch)) {
                answer(call, error);
            } else {
                sent.push_back(call);
            }
        }
        if (any_late) connection.note_late();
    }
    /// Sends them. May throw std::bad_alloc.
    void begin(std::chrono::nanoseconds timeout) {
        connection.begin(detail::remote::Deadline{sent.back().deadline - timeout, timeout});
    }
    /// After the exchange: makes the answers theirs.
    void decode_to(AsyncCallList& answered) noexcept {
        while (!sent.empty()) {
            AsyncCall& call = *sent.pop_front();
            call.decode(connection.calls());
            answered.push_back(call);
        }
    }

private:
    std::error_code encode(AsyncCall& call, EncodedKeys& scratch) noexcept {
        try {
            return call.encode(scratch, connection.calls());
        } catch (const std::bad_alloc&) {
            return Errc::no_memory;
        }
    }
};

}  // namespace sluice::detail::redis

#endif
