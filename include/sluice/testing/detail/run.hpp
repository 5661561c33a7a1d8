// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTING_DETAIL_RUN_HPP
#define SLUICE_TESTING_DETAIL_RUN_HPP

#include <cstdint>
#include <functional>
#include <sstream>
#include <string>
#include <string_view>

#include <sluice/decision.hpp>
#include <sluice/testing/detail/random.hpp>

namespace sluice::conformance {

/// Where checks report: called for each of them, `what` empty while `ok`. It may throw, which ends the case (as Catch2's REQUIRE does),
/// or note the failure and return (as GoogleTest's EXPECT_TRUE does), after which the case goes on.
using Expect = std::function<void(bool ok, const std::string& what)>;

}  // namespace sluice::conformance

namespace sluice::detail::conformance {

/// One case while it runs: where it reports, its random numbers, and names that no other run has.
class Run : public Random {
public:
    Run(const sluice::conformance::Expect& expect, std::string_view name, std::uint64_t seed)
        : Random(seed), expect_(expect), case_(name), seed_(seed) {}

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

private:
    const sluice::conformance::Expect& expect_;
    std::string case_;
    std::string about_ = "every policy";
    std::uint64_t seed_;
};

}  // namespace sluice::detail::conformance

#endif
