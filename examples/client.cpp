// SPDX-License-Identifier: MIT
//
// A client that keeps to a service's limit: 50 threads send 10 requests a second together, and heed what the service says.
//
//     client http://127.0.0.1:8080 /api/data [SECONDS]
//
// Exit status 0 only if the service never denied, and at least 95 % of what it allows was used.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <httplib.h>

#include <sluice/sluice.hpp>

#include "support/service_pause.hpp"

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr int requests_per_second = 10;
constexpr int threads = 50;

/// One service, for all threads.
class Service {
public:
    explicit Service(const std::string& url) : client_(url) {
        client_.set_keep_alive(true);
        client_.set_tcp_nodelay(true);
    }

    /// Sends a request when it is its turn. False if that does not come before `end`.
    bool get(const std::string& path, Clock::time_point end) {
        if (!limiter_.acquire("service", 1, end - Clock::now())) return false;
        // The service has a burst of 1 and counts requests as they arrive, sooner or later than they were sent: two are never
        // under way at once, and a gap is counted from the answer.
        const std::lock_guard one_at_a_time{mutex_};
        std::this_thread::sleep_until(next_);
        if (Clock::now() >= end) return false;
        const auto response = client_.Get(path.c_str());
        const auto answered = Clock::now();
        next_ = answered + gap;
        if (!response) {
            ++failed;
            return true;
        }
        const auto pause =
            example::pause_after(response->get_header_value("Retry-After"), response->get_header_value("RateLimit"));
        next_ = std::max<Clock::time_point>(next_, answered + pause);
        ++(response->status == 200 ? served : response->status == 429 ? denied : failed);
        return true;
    }

    int served = 0, denied = 0, failed = 0;  // to be read when the threads have ended

private:
    static constexpr std::chrono::nanoseconds gap = std::chrono::nanoseconds{1s} / requests_per_second;

    // As many may wait as there are threads; each has its place in the queue.
    sluice::MemoryLimiter<sluice::LeakyBucket> limiter_{
        sluice::LeakyBucket{threads, sluice::per_second(requests_per_second)}};
    std::mutex mutex_;
    httplib::Client client_;
    Clock::time_point next_{};
};

}  // namespace

int main(int argc, char* argv[]) {
    if (argc < 3) {
        std::cerr << "Usage: " << argv[0] << " http://ADDRESS:PORT PATH [SECONDS]\n";
        return EXIT_FAILURE;
    }
    const std::string path = argv[2];
    const int seconds = argc > 3 ? std::max(1, std::atoi(argv[3])) : 30;
    Service service{argv[1]};

    const auto end = Clock::now() + std::chrono::seconds{seconds};
    std::vector<std::thread> all;
    for (int i = 0; i != threads; ++i) {
        all.emplace_back([&] {
            while (service.get(path, end)) {
            }
        });
    }
    for (std::thread& thread : all) thread.join();

    const int allowance = seconds * requests_per_second;
    const int used = service.served * 100 / allowance;
    std::cout << "429 answers: " << service.denied << '\n'
              << "of the allowance used: " << used << " % (" << service.served << " of " << allowance << ")\n";
    if (service.failed != 0) std::cout << "failed: " << service.failed << '\n';
    return service.denied == 0 && service.failed == 0 && used >= 95 ? EXIT_SUCCESS : EXIT_FAILURE;
}
