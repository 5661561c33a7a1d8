// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_SUPPORT_POLL_LOOP_HPP
#define SLUICE_TESTS_SUPPORT_POLL_LOOP_HPP

#include <algorithm>
#include <chrono>
#include <ctime>
#include <optional>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/resource.h>

#include <sluice/redis.hpp>
#include <sluice/sluice.hpp>

/// How often a thread slept in some calls, and for how long the longest of them worked. Whoever takes its processor away, or
/// its time, is not counted.
struct ThreadUsage {
    long sleeps = 0;
    std::chrono::nanoseconds longest_work{0};

    template <class Call>
    void measure(Call call) {
        const long slept = sleeps_of_thread();
        const auto start = work_of_thread();
        call();
        longest_work = std::max(longest_work, work_of_thread() - start);
        sleeps += sleeps_of_thread() - slept;
    }

private:
    static long sleeps_of_thread() {
#ifdef RUSAGE_THREAD
        rusage all{};
        ::getrusage(RUSAGE_THREAD, &all);
        return all.ru_nvcsw;
#else
        return 0;
#endif
    }
    static std::chrono::nanoseconds work_of_thread() {
        timespec time{};
        ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
        return std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec};
    }
};

/// In the client, of all turns of this thread.
inline ThreadUsage& usage_of_turns() {
    static thread_local ThreadUsage usage;
    return usage;
}

/// What a loop does when it has polled.
inline void process(const sluice::AsyncRedis& redis, const std::vector<pollfd>& items) {
    redis.process();
    for (const pollfd& item : items) {
        if (item.revents != 0) redis.process(item.fd, item.revents);
    }
}

/// One turn of an event loop that has nothing but `redis` to do; it waits `most_ms` at most.
inline void turn(const sluice::AsyncRedis& redis, int most_ms = 1'000) {
    std::vector<pollfd> items;
    for (const sluice::Watch& watch : redis.watches()) items.push_back({watch.fd, watch.events, 0});
    const int wait = redis.poll_timeout();
    ::poll(items.data(), static_cast<nfds_t>(items.size()), wait < 0 ? most_ms : std::min(wait, most_ms));
    usage_of_turns().measure([&] { process(redis, items); });
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
