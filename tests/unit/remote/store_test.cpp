// SPDX-License-Identifier: MIT

#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <sluice/policies/fixed_window.hpp>
#include <sluice/remote/remote_store.hpp>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using sluice::Consumption;
using sluice::Decision;
using sluice::Errc;
using sluice::FixedWindow;
using sluice::detail::remote::Deadline;

namespace {

/// Allows every key, and says what it was asked.
struct Backend {
    static constexpr std::size_t max_key_bytes = 4;
    static constexpr std::size_t max_keys = 2;
    using Now = std::optional<std::chrono::nanoseconds>;
    using Request = sluice::Request<FixedWindow>;

    std::chrono::nanoseconds timeout() const { return time; }
    template <class Put>
    std::error_code ask(const Request&, std::span<const std::string_view> keys, bool settles, Now now,
                        const Deadline& deadline, Put put) {
        if (is_without_memory) throw std::bad_alloc{};
        asked.emplace_back(keys.begin(), keys.end());
        asked_at = now;
        budget = deadline.budget();
        for (std::size_t i = 0; i != keys.size(); ++i) {
            Consumption one;
            one.decision.allowed = keys[i] != "bad";
            if (keys[i] == "bad") one.decision.error = Errc::wrong_type;
            if (keys[i] == "late") one.decision.error = Errc::timeout;
            if (settles) one.units = 3;
            put(i, one);
        }
        return error;
    }
    std::error_code ping(const Deadline& deadline) {
        if (is_without_memory) throw std::bad_alloc{};
        budget = deadline.budget();
        return error;
    }
    void check(const sluice::Scope<FixedWindow>& scope) const {
        if (scope.policy.limit() == 13) throw std::invalid_argument("13");
    }
    int stats() const { return 7; }
    void count_failure(std::error_code why) { failures.push_back(why); }

    std::chrono::nanoseconds time = 1h;
    std::error_code error{};
    bool is_without_memory = false;
    std::vector<std::vector<std::string>> asked{};
    std::vector<std::error_code> failures{};
    Now asked_at{};
    std::chrono::nanoseconds budget{0};
};

using Asked = std::vector<std::vector<std::string>>;
using Failures = std::vector<std::error_code>;

struct Story {
    std::shared_ptr<Backend> backend = std::make_shared<Backend>();
    sluice::detail::remote::RemoteStore<Backend> store{backend};
    const FixedWindow policy{10, 1s};

    Backend::Request request(std::string_view key) const { return {{"limiter", policy, 1}, key}; }
    std::vector<Decision> many(const std::vector<std::string_view>& keys) {
        std::vector<Decision> out(keys.size());
        store.decide_many(request(""), keys, out);
        return out;
    }
};

}  // namespace

TEST_CASE("one key goes to the server if it fits, and a failure is counted once") {
    Story story;
    CHECK(story.store.decide(story.request("four")).allowed);
    CHECK_FALSE(story.backend->asked_at.has_value());
    CHECK(story.backend->budget == 1h);
    CHECK(story.backend->failures.empty());
    CHECK(story.store.decide_at(story.request("a"), 5s).allowed);
    CHECK(story.backend->asked_at == 5s);
    CHECK(story.store.decide(story.request("fifth")).error == Errc::invalid_argument);
    CHECK(story.backend->asked == Asked{{"four"}, {"a"}});
    CHECK(story.store.decide(story.request("bad")).error == Errc::wrong_type);
    story.backend->error = Errc::refused;
    const Decision refused = story.store.decide(story.request("a"));
    CHECK(refused.error == Errc::refused);
    CHECK_FALSE(refused.allowed);
    story.backend->is_without_memory = true;
    CHECK(story.store.decide(story.request("a")).error == Errc::no_memory);
    CHECK(story.backend->failures ==
          Failures{Errc::invalid_argument, Errc::wrong_type, Errc::refused, Errc::no_memory});
}

TEST_CASE("what a key took is told, and of a failure nothing") {
    Story story;
    const Consumption taken = story.store.consume(story.request("four"));
    CHECK(taken.decision.allowed);
    CHECK(taken.units == 3);
    CHECK_FALSE(story.backend->asked_at.has_value());
    CHECK(story.store.consume_at(story.request("a"), 5s).units == 3);
    CHECK(story.backend->asked_at == 5s);
    CHECK(story.backend->failures.empty());
    CHECK(story.store.consume(story.request("fifth")).decision.error == Errc::invalid_argument);
    CHECK(story.backend->asked.size() == 2);
    CHECK(story.store.consume(story.request("bad")).decision.error == Errc::wrong_type);
    story.backend->error = Errc::refused;
    const Consumption refused = story.store.consume(story.request("a"));
    CHECK(refused.decision.error == Errc::refused);
    CHECK(refused.units == 0);
    story.backend->is_without_memory = true;
    CHECK(story.store.consume(story.request("a")).decision.error == Errc::no_memory);
    CHECK(story.backend->failures ==
          Failures{Errc::invalid_argument, Errc::wrong_type, Errc::refused, Errc::no_memory});
}

TEST_CASE("many keys go in batches, without those that do not fit") {
    Story story;
    const auto out = story.many({"a", "too long", "bad", "b", "too long", "longer", "c", "d"});
    REQUIRE(out.size() == 8);
    for (const std::size_t i : {0U, 3U, 6U, 7U}) {
        CHECK(out[i].allowed);
        CHECK_FALSE(out[i].error);
    }
    for (const std::size_t i : {1U, 4U, 5U}) CHECK(out[i].error == Errc::invalid_argument);
    CHECK(out[2].error == Errc::wrong_type);
    CHECK(story.backend->asked == Asked{{"a"}, {"bad", "b"}, {"c", "d"}});
    CHECK(story.backend->failures ==
          Failures{Errc::invalid_argument, Errc::wrong_type, Errc::invalid_argument, Errc::invalid_argument});

    std::array<Decision, 1> one;
    const std::array<std::string_view, 1> key{"e"};
    story.store.decide_many_at(story.request(""), 5s, key, one);
    CHECK(one[0].allowed);
    CHECK(story.backend->asked_at == 5s);
}

TEST_CASE("many keys end with the time that there is") {
    Story story;
    SECTION("where the server took all of it") {
        const auto out = story.many({"a", "b", "c", "late", "d", "e", "f"});
        CHECK(out[2].allowed);
        for (const std::size_t i : {3U, 4U, 5U, 6U}) CHECK(out[i].error == Errc::timeout);
        CHECK(story.backend->asked == Asked{{"a", "b"}, {"c", "late"}});
        CHECK(story.backend->failures.size() == 4);
    }
    SECTION("or it is over") {
        story.backend->time = 0s;
        const auto out = story.many({"a", "b", "c"});
        CHECK(out[1].allowed);
        CHECK(out[2].error == Errc::timeout);
        CHECK(story.backend->asked.size() == 1);
    }
}

TEST_CASE("a store on a server passes on what is no decision") {
    Story story;
    CHECK_FALSE(story.store.ping(2s));
    CHECK(story.backend->budget == 2s);
    story.backend->error = Errc::read_only;
    CHECK(story.store.ping(2s) == Errc::read_only);
    story.backend->is_without_memory = true;
    CHECK(story.store.ping(2s) == Errc::no_memory);
    CHECK(story.backend->failures.empty());
    CHECK(story.store.stats() == 7);
    story.store.check(story.request("").scope);
    const FixedWindow unlucky{13, 1s};
    CHECK_THROWS_AS(story.store.check(sluice::Scope<FixedWindow>{"limiter", unlucky, 1}), std::invalid_argument);
}
