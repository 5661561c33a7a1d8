// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTING_DETAIL_RUN_HPP
#define SLUICE_TESTING_DETAIL_RUN_HPP

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <random>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <vector>

#include <sluice/decision.hpp>

namespace sluice::conformance {

/// Where checks report: called for each of them, `what` empty while `ok`. It may throw, which ends the case (as Catch2's REQUIRE does),
/// or note the failure and return (as GoogleTest's EXPECT_TRUE does), after which the case goes on.
using Expect = std::function<void(bool ok, const std::string& what)>;

}  // namespace sluice::conformance

namespace sluice::detail::conformance {

/// One case while it runs: where it reports, its random numbers, and names that no other run has.
class Run {
public:
    Run(const sluice::conformance::Expect& expect, std::string_view name, std::uint64_t seed)
        : expect_(expect), case_(name), seed_(seed), engine_(seed) {}

    /// Reports a check. The message names case, policy, file, line and seed.
    template <class T>
    void operator()(const T& ok, int line = __builtin_LINE(), const char* file = __builtin_FILE()) const {
        if (static_cast<bool>(ok)) {
            expect_(true, {});
        } else {
            fail("does not hold", line, file);
        }
    }
    void fail(const std::string& how, int line = __builtin_LINE(), const char* file = __builtin_FILE()) const {
        expect_(false, std::string{file} + ":" + std::to_string(line) + ": case '" + case_ + "', " + about_ +
                           ", seed " + std::to_string(seed_) + ": " + how);
    }
    void fail(const std::string& how, const Decision& got, const Decision& expected, int line = __builtin_LINE(),
              const char* file = __builtin_FILE()) const {
        std::ostringstream text;
        text << how << ": " << got << "; the policy: " << expected;
        fail(text.str(), line, file);
    }
    /// What the checks from here on are about: a policy, as a rule.
    void about(std::string_view what) { about_ = what; }

    /// A limiter's name. Stores may keep what an earlier run left.
    std::string name(std::string_view what) const {
        return "conformance/" + std::to_string(seed_) + "/" + case_ + "/" + std::string{what};
    }

    /// Uniform in [low, high].
    template <class T>
    T between(T low, T high) {
        return std::uniform_int_distribution<T>{low, high}(engine_);
    }
    /// In [low, high] for 1 <= low, every order of magnitude as likely as any other.
    std::int64_t magnitude(std::int64_t low, std::int64_t high) {
        const auto bits = [](std::int64_t n) {
            return static_cast<int>(std::bit_width(static_cast<std::uint64_t>(n)));
        };
        const int length = between(bits(low), bits(high));
        const std::int64_t floor = std::int64_t{1} << (length - 1);
        return between((std::max)(floor, low), (std::min)(2 * (floor - 1) + 1, high));
    }
    bool one_in(unsigned n) { return engine_() % n == 0; }
    template <class... T>
    auto pick(T... choices) {
        const std::common_type_t<T...> all[] = {choices...};
        return all[static_cast<std::size_t>(engine_() % sizeof...(T))];
    }

private:
    const sluice::conformance::Expect& expect_;
    std::string case_;
    std::string about_ = "every policy";
    std::uint64_t seed_;
    std::mt19937_64 engine_;
};

/// Calls body(0) ... body(count - 1), each on a thread of its own, all released at once.
inline void run_threads(int count, const std::function<void(int)>& body) {
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
