// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_SUPPORT_POLL_LOOP_HPP
#define SLUICE_TESTS_SUPPORT_POLL_LOOP_HPP

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include <poll.h>

#include <sluice/redis.hpp>
#include <sluice/sluice.hpp>

/// One turn of an event loop that has nothing but `redis` to do; it waits `most_ms` at most.
inline void turn(const sluice::AsyncRedis& redis, int most_ms = 1'000) {
    std::vector<pollfd> items;
    for (const sluice::Watch& watch : redis.watches()) items.push_back({watch.fd, watch.events, 0});
    const int wait = redis.poll_timeout();
    ::poll(items.data(), static_cast<nfds_t>(items.size()), wait < 0 ? most_ms : std::min(wait, most_ms));
    redis.process();
    for (const pollfd& item : items) {
        if (item.revents != 0) redis.process(item.fd, item.revents);
    }
}

/// Turns until `done()`.
template <class Done>
void turn_until(const sluice::AsyncRedis& redis, Done done) {
    while (!done()) turn(redis);
}

/// What `ask(completion)` is answered.
template <class Ask>
sluice::Decision answer_to(const sluice::AsyncRedis& redis, Ask ask) {
    std::optional<sluice::Decision> answer;
    ask([&](sluice::Decision decision) { answer = std::move(decision); });
    turn_until(redis, [&] { return answer.has_value(); });
    return *answer;
}

#endif
