// SPDX-License-Identifier: MIT
//
// soak MINUTES: three instances of a service, each a process with four threads, share limits in a Redis Cluster of three masters
// with a replica each, while something fails every minute. At the end: nothing was admitted beyond the bounds, the instances' memory
// is where it was, and no descriptor is lost.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <new>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <sluice/redis.hpp>
#include <sluice/sluice.hpp>

#include "support/process.hpp"
#include "support/redis_cluster.hpp"

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr std::size_t instances = 3, threads = 4, keys = 24;
constexpr std::uint64_t capacity = 20, rate = 10;  // a second
constexpr auto between_faults = 60s;
/// What a new master may not know: replication is asynchronous. Far longer than it was ever seen to lag here.
constexpr auto longest_lag = 1s;

/// Counted by all processes.
struct Counts {
    std::atomic<bool> over{false};
    std::atomic<std::uint64_t> decided{0}, failed{0}, admitted_on_failure{0};
    std::array<std::atomic<std::uint64_t>, keys> admitted{};
};

void serve(const std::string& url, Counts& counts, std::uint64_t seed) {
    const sluice::RateLimiter limiter{sluice::TokenBucket{capacity, sluice::per_second(rate)},
                                      sluice::RedisStore{url},
                                      {.name = "soak", .on_failure = sluice::FailureMode::deny}};
    std::vector<std::thread> pool;
    for (std::size_t thread = 0; thread != threads; ++thread) {
        pool.emplace_back([&, thread] {
            std::mt19937_64 random{seed * 100 + thread};
            while (!counts.over.load(std::memory_order_relaxed)) {
                const std::size_t key = random() % keys;
                const sluice::Decision decision = limiter.try_consume("key " + std::to_string(key));
                ++(decision.error ? counts.failed : counts.decided);
                if (decision.error && decision.allowed) ++counts.admitted_on_failure;
                if (decision.allowed) ++counts.admitted[key];
                std::this_thread::sleep_for(1ms);
            }
        });
    }
    for (auto& thread : pool) thread.join();
}

std::size_t resident_kib(pid_t pid) {
    std::ifstream file{"/proc/" + std::to_string(pid) + "/statm"};
    std::size_t size = 0, resident = 0;
    file >> size >> resident;
    return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)) / 1024;
}
std::size_t descriptors(pid_t pid) {
    const std::filesystem::directory_iterator folder{"/proc/" + std::to_string(pid) + "/fd"};
    return static_cast<std::size_t>(std::distance(begin(folder), end(folder)));
}

/// Faults in turn, each over within some seconds. Returns how many times states may have been lost.
class Faults {
public:
    Faults(RedisCluster& cluster, const std::vector<pid_t>& pids) : cluster_(cluster), pids_(pids) {}

    std::string next() {
        const std::size_t node = master();
        switch (turn_++ % 4) {
            case 0:
                ++losses_;
                cluster_.node(node).kill();
                wait_for_masters();
                cluster_.node(node).restart();
                return "a master was killed and came back as a replica";
            case 1:
                for (std::size_t i = 0; i != 2 * cluster_.masters(); ++i)
                    static_cast<void>(cluster_.node(i).command({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"}));
                return "all connections were cut";
            case 2:
                ++losses_;
                cluster_.node(node).freeze();
                std::this_thread::sleep_for(3s);
                cluster_.node(node).thaw();
                wait_for_masters();
                return "a master was held up for 3 s";
            default: {
                const pid_t pid = pids_[turn_ / 4 % pids_.size()];
                ::kill(pid, SIGSTOP);
                std::this_thread::sleep_for(3s);
                ::kill(pid, SIGCONT);
                return "an instance was held up for 3 s";
            }
        }
    }
    std::uint64_t losses() const noexcept { return losses_; }

private:
    std::size_t master() {
        for (std::size_t i = 0; i != 2 * cluster_.masters(); ++i) {
            const std::size_t node = (turn_ + i) % (2 * cluster_.masters());
            if (cluster_.node(node).info("role") == "master" ||
                cluster_.node(node).command({"ROLE"}).rfind("master", 0) == 0)
                return node;
        }
        return 0;
    }
    void wait_for_masters() {
        for (int attempt = 0; attempt != 1'000; ++attempt) {
            std::size_t masters = 0;
            for (std::size_t i = 0; i != 2 * cluster_.masters(); ++i)
                masters += cluster_.node(i).command({"ROLE"}).rfind("master", 0) == 0 ? 1 : 0;
            if (masters == cluster_.masters()) return;
            std::this_thread::sleep_for(10ms);
        }
    }

    RedisCluster& cluster_;
    const std::vector<pid_t>& pids_;
    std::size_t turn_ = 0;
    std::uint64_t losses_ = 0;
};

int soak(std::chrono::seconds length) {
    void* const shared = ::mmap(nullptr, sizeof(Counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) throw std::bad_alloc{};
    Counts& counts = *::new (shared) Counts;
    RedisCluster cluster{3, true};
    const std::string url = cluster.url();
    const auto start = Clock::now();
    std::vector<pid_t> pids;
    for (std::size_t i = 0; i != instances; ++i) {
        pids.push_back(::fork());
        if (pids.back() != 0) continue;
        serve(url, counts, i + 1);
        ::_exit(0);
    }

    Faults faults{cluster, pids};
    std::vector<std::size_t> memory(instances), files(instances);
    const auto settled = start + length / 5;
    bool is_settled = false;
    for (auto next = start + between_faults / 2; next < start + length; next += between_faults) {
        std::this_thread::sleep_until(next);
        const std::string fault = faults.next();
        std::cout << std::chrono::duration_cast<std::chrono::minutes>(Clock::now() - start).count() << " min, "
                  << counts.decided << " decided, " << counts.failed << " failed; " << fault << std::endl;
        if (is_settled || Clock::now() < settled) continue;
        is_settled = true;
        for (std::size_t i = 0; i != instances; ++i) {
            memory[i] = resident_kib(pids[i]);
            files[i] = descriptors(pids[i]);
        }
    }
    std::this_thread::sleep_until(start + length);

    bool ok = true;
    const auto check = [&](bool good, const std::string& text) {
        std::cout << (good ? "ok    " : "WRONG ") << text << '\n';
        ok = ok && good;
    };
    const std::uint64_t before = counts.decided;
    std::this_thread::sleep_for(2s);
    check(counts.decided - before > instances * threads, "requests are decided at the end");
    for (std::size_t i = 0; i != instances; ++i) {
        const std::size_t now = resident_kib(pids[i]), open = descriptors(pids[i]);
        check(!is_settled || now <= memory[i] + 1024, "instance " + std::to_string(i) + " has " + std::to_string(now) +
                                                          " KiB, after a fifth of the time it had " +
                                                          std::to_string(memory[i]));
        check(!is_settled || open <= files[i] + 3, "instance " + std::to_string(i) + " has " + std::to_string(open) +
                                                       " descriptors, it had " + std::to_string(files[i]));
    }
    counts.over = true;
    for (const pid_t pid : pids) {
        check(status_of(pid) == 0, "an instance ended by itself");
    }
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(Clock::now() - start + faults.losses() * longest_lag);
    const std::uint64_t bound = capacity * (1 + faults.losses()) + rate * static_cast<std::uint64_t>(seconds.count());
    std::uint64_t most = 0;
    for (const auto& admitted : counts.admitted) most = std::max(most, admitted.load());
    check(most <= bound, "at most " + std::to_string(most) + " units of a key were admitted, " + std::to_string(bound) +
                             " may be, with " + std::to_string(faults.losses()) + " masters lost");
    check(most * 10 >= bound * 6, "and not far less");
    check(counts.admitted_on_failure == 0, "nothing was admitted by a limiter that denies on failure");
    std::cout << counts.decided << " decided, " << counts.failed << " failed\n";
    return ok ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    const int minutes = argc == 2 ? std::atoi(argv[1]) : 0;
    if (minutes < 1) {
        std::cerr << "usage: soak MINUTES\n";
        return 2;
    }
    try {
        return soak(std::chrono::minutes{minutes});
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        return 2;
    }
}
