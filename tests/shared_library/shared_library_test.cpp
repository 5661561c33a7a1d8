// SPDX-License-Identifier: MIT
//
// A program, a library that it links and a plugin that it opens, none of which sees the others' symbols, share errors,
// decisions and limiters.
#include <dlfcn.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <utility>
#include <vector>

#include <sluice/remote/fork_check.hpp>

#include "face.hpp"
#include "support/catch.hpp"
#include "support/process.hpp"

extern "C" Face library_face();

namespace {

Face plugin_face() {
    static void* const plugin = ::dlopen(PLUGIN_FILE, RTLD_NOW | RTLD_LOCAL);
    REQUIRE(plugin != nullptr);
    const auto face = reinterpret_cast<Face (*)()>(::dlsym(plugin, "plugin_face"));
    REQUIRE(face != nullptr);
    return face();
}

std::vector<Face> faces() { return {library_face(), plugin_face()}; }

}  // namespace

TEST_CASE("an error is the same on both sides of a library's border") {
    for (const Face& face : faces()) {
        for (const auto& entry : sluice::detail::errc_table) {
            const std::error_code ours = entry.code;
            const std::error_code theirs = face.error(entry.code);
            CHECK(theirs == entry.code);
            CHECK(face.is(ours, entry.code));
            CHECK(theirs.message() == ours.message());
            CHECK(sluice::is_failure(theirs) == sluice::is_failure(ours));
            CHECK(face.is_failure(ours) == sluice::is_failure(ours));
        }
        CHECK_FALSE(sluice::is_failure(face.error(sluice::Errc::degraded)));
        CHECK_FALSE(face.error(sluice::Errc::degraded) == sluice::Errc::timeout);
        CHECK_FALSE(face.is(sluice::Errc::timeout, sluice::Errc::degraded));
    }
}

TEST_CASE("a decision equals the same decision of a library") {
    for (const Face& face : faces()) {
        sluice::Decision ours{.allowed = true, .limit = 5, .error = sluice::Errc::degraded};
        sluice::Decision theirs = ours;
        theirs.error = face.error(sluice::Errc::degraded);
        CHECK(ours == theirs);
        CHECK(face.are_equal(ours, theirs));
        theirs.error = face.error(sluice::Errc::timeout);
        CHECK_FALSE(ours == theirs);
        CHECK_FALSE(face.are_equal(ours, theirs));
    }
}

TEST_CASE("a limiter counts what is decided on either side of a library's border") {
    const auto [library, plugin] = std::pair{library_face(), plugin_face()};
    const sluice::RateLimiter limiter{sluice::TokenBucket{30, sluice::per_day(1)}};
    for (std::uint64_t left = 30; left != 0; left -= 3) {
        CHECK(limiter.try_consume("a").remaining == left - 1);
        CHECK(library.try_consume(limiter).remaining == left - 2);
        CHECK(plugin.try_consume(limiter).remaining == left - 3);
    }
    CHECK_FALSE(limiter.try_consume("a"));
    CHECK_FALSE(library.try_consume(limiter));
    CHECK_FALSE(plugin.try_consume(limiter));
}

// Each has a clock of its own; on each side of the border they are read between two readings of the other.
TEST_CASE("the clocks of a program and its libraries agree within 50 us") {
    constexpr std::int64_t bound = 50'000;
    const auto steady = [] { return std::chrono::steady_clock::now().time_since_epoch(); };
    for (const Face& face : faces()) {
        bool agree = true;
        for (const auto begin = steady(); steady() - begin < std::chrono::milliseconds{100};) {
            const std::int64_t before = sluice::DefaultClock{}.now().count();
            const std::int64_t theirs = face.now();
            const std::int64_t after = sluice::DefaultClock{}.now().count();
            agree = agree && theirs >= before - bound && theirs <= after + bound;
        }
        CHECK(agree);
    }
}

TEST_CASE("a forked child is noticed on both sides of a library's border") {
    for (const Face& face : faces()) {
        CHECK(face.process_id() == ::getpid());
        const pid_t child = ::fork();
        if (child == 0) {
            ::alarm(60);
            const bool is_noticed =
                face.process_id() == ::getpid() && sluice::detail::remote::ForkCheck::get() == ::getpid();
            const std::int64_t before = face.now();
            ::_exit(is_noticed && face.now() >= before ? 0 : 1);
        }
        CHECK(status_of(child) == 0);
        CHECK(face.process_id() == ::getpid());
    }
}
