// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTING_DETAIL_THREADS_HPP
#define SLUICE_TESTING_DETAIL_THREADS_HPP

#include <atomic>
#include <thread>
#include <vector>

namespace sluice::detail::conformance {

/// Runs body(0) ... body(count - 1), each on a thread of its own, all released at once; returns when all are done.
template <class Body>
void run_threads(int count, Body body) {
    std::atomic<int> ready{0};
    std::vector<std::thread> threads;
    for (int i = 0; i != count; ++i) {
        threads.emplace_back([&, i] {
            ready.fetch_add(1);
            while (ready.load() != count) std::this_thread::yield();
            body(i);
        });
    }
    for (std::thread& thread : threads) thread.join();
}

}  // namespace sluice::detail::conformance

#endif
