// SPDX-License-Identifier: MIT

#include <chrono>
#include <iomanip>
#include <sstream>
#include <type_traits>

#include <sluice/decision.hpp>

#include "support/catch.hpp"

TEST_CASE("a Decision is a denial until it says otherwise") {
    const sluice::Decision decision;
    CHECK_FALSE(decision);
    CHECK(decision.limit == 0);
    CHECK(decision.remaining == 0);
    CHECK(decision.retry_after.count() == 0);
    CHECK(decision.reset_after.count() == 0);
    CHECK(decision.delay.count() == 0);
    CHECK_FALSE(decision.error);
}

TEST_CASE("a Decision converts to bool only where a condition is asked for") {
    sluice::Decision decision;
    decision.allowed = true;
    CHECK(static_cast<bool>(decision));
    CHECK_FALSE(std::is_convertible_v<sluice::Decision, bool>);
    CHECK(sluice::Decision::never == std::chrono::nanoseconds::max());
}

TEST_CASE("decisions are equal where all that they say is") {
    const sluice::Decision decision{true, 10, 9, {}, std::chrono::seconds{1}, {}};
    CHECK(decision == decision);
    auto other = decision;
    other.remaining = 8;
    CHECK_FALSE(other == decision);
    other = decision;
    other.delay = std::chrono::nanoseconds{1};
    CHECK(other != decision);
    other = decision;
    other.error = std::make_error_code(std::errc::timed_out);
    CHECK(other != decision);
    CHECK(sluice::Decision{}.error == std::error_code{});
}

TEST_CASE("a Decision is written as one line") {
    const auto text = [](const sluice::Decision& decision) {
        std::ostringstream out;
        out << std::hex << std::setprecision(2) << std::dec << decision;
        return out.str();
    };
    using namespace std::chrono_literals;
    CHECK(text({true, 10, 3, 0ns, 7s, 0ns}) == "allowed, 3 of 10 left, reset after 7s");
    CHECK(text({false, 10, 0, 1'500ms, 100s + 1ns, 0ns}) ==
          "denied, 0 of 10 left, retry after 1.5s, reset after 100.000000001s");
    CHECK(text({false, 5, 5, sluice::Decision::never, 0ns, 0ns}) == "denied, 5 of 5 left, retry after never");
    sluice::Decision failed;
    failed.allowed = true;
    failed.error = std::make_error_code(std::errc::timed_out);
    CHECK(text(failed) == "allowed, 0 of 0 left, " + failed.error.message());
}
