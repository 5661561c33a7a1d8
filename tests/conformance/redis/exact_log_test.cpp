// SPDX-License-Identifier: MIT

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "conformance/redis_kit.hpp"
#include "support/catch.hpp"

// The log of SlidingWindow in Redis lies in pieces: logs of every length, cut at both ends by every kind of request.

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

namespace {

constexpr nanoseconds start = 1'767'225'600s;

bool same(const sluice::Decision& a, const sluice::Decision& b) {
    return a.allowed == b.allowed && a.limit == b.limit && a.remaining == b.remaining &&
           a.retry_after == b.retry_after && a.reset_after == b.reset_after && a.error == b.error;
}

/// A limiter in Redis, and what it has to answer: the bare policy on a state that is kept here.
class Pair {
public:
    Pair(const sluice::SlidingWindow& policy, const sluice::RedisStore& redis, const std::string& name)
        : policy_(policy), limiter_(policy, conformance::TimedRedisStore{redis, clock_}, {.name = name}) {}

    void set_time(nanoseconds now) { clock_.set(now); }

    bool consume(std::uint64_t cost) { return same(limiter_.try_consume("key", cost), expect(cost)); }
    bool consume_in_batch(std::size_t count) {
        const std::vector<std::string_view> keys(count, "key");
        std::vector<sluice::Decision> out(count);
        limiter_.try_consume_many(keys, out);
        bool all = true;
        for (const auto& decision : out) all = same(decision, expect(1)) && all;
        return all;
    }
    bool refund(std::uint64_t units) {
        policy_.refund(state_, clock_.now(), units);
        return !limiter_.refund("key", units);
    }
    /// The waits tell the time of each unit.
    bool agree() const {
        for (std::uint64_t cost = 0; cost <= policy_.limit() + 1; ++cost) {
            if (!same(limiter_.peek("key", cost), policy_.peek(state_, clock_.now(), cost))) return false;
        }
        return true;
    }

private:
    /// A look leaves the log in Redis as it is, and so does a denial, unless the clock went back by more than is
    /// tolerated.
    sluice::Decision expect(std::uint64_t cost) {
        const auto now = clock_.now();
        const bool is_ahead =
            state_.log.size() != 0 && state_.log.newest() > (now + sluice::detail::tolerated_skew).count();
        const auto peeked = policy_.peek(state_, now, cost);
        if (cost == 0 || (!peeked.allowed && !is_ahead)) return peeked;
        policy_.reserve(state_, now, cost);
        return policy_.step(state_, now, cost);
    }

    sluice::ManualClock clock_;
    sluice::SlidingWindow policy_;
    sluice::SlidingWindow::State state_;
    sluice::RateLimiter<sluice::SlidingWindow, conformance::TimedRedisStore> limiter_;
};

}  // namespace

TEST_CASE("an exact log in Redis is that of the bare policy, whatever its length") {
    conformance::RedisKit kit;
    Random random{"exact log"};
    const int sequences = cases(300);
    for (int i = 0; i != sequences; ++i) {
        const auto limit = random.magnitude<std::uint64_t>(1, 150);
        Pair pair{sluice::SlidingWindow{limit, 1s}, kit.redis, "log" + std::to_string(i)};
        const auto longest_step = random.magnitude<std::int64_t>(1, 1'000'000);
        const auto most = random.magnitude<std::uint64_t>(1, limit + 1);
        const bool jumps = random.one_in(2);
        nanoseconds now = start + std::chrono::microseconds{random.between(0, 2'000'000)};
        for (int operation = 0; operation != 150; ++operation) {
            INFO("limit " << limit << ", sequence " << i << ", operation " << operation);
            now += std::chrono::microseconds{random.between<std::int64_t>(0, longest_step)};
            if (jumps && random.one_in(16)) now -= std::chrono::microseconds{random.magnitude(1, 20'000'000)};
            pair.set_time(now);
            switch (random.between(0, 7)) {
                case 0: REQUIRE(pair.refund(random.magnitude<std::uint64_t>(1, limit))); break;
                case 1: REQUIRE(pair.consume_in_batch(random.between<std::size_t>(2, 20))); break;
                case 2: REQUIRE(pair.consume(random.between<std::uint64_t>(0, most))); break;
                default: REQUIRE(pair.consume(1));
            }
            if (operation % 15 == 0) REQUIRE(pair.agree());
        }
        REQUIRE(pair.agree());
    }
}

TEST_CASE("each number of units leaves, comes, is given back and is set back") {
    conformance::RedisKit kit;
    constexpr std::uint64_t limit = 40;
    for (std::uint64_t gone = 0; gone <= limit; ++gone) {
        for (const std::uint64_t units : {1U, 2U, 7U, 8U, 9U, 16U, 17U, 24U, 25U, 40U}) {
            for (const nanoseconds set_back : {0s, 1s, 10s}) {
                INFO(gone << " gone, " << units << " units, " << set_back.count());
                Pair pair{sluice::SlidingWindow{limit, 1s}, kit.redis,
                          std::to_string(gone) + '/' + std::to_string(units) + '/' + std::to_string(set_back / 1s)};
                for (std::uint64_t i = 0; i != limit; ++i) {
                    pair.set_time(start + std::chrono::milliseconds{2 * i});
                    REQUIRE(pair.consume(1));
                }
                const auto then = start + 998ms + std::chrono::milliseconds{2 * gone};
                pair.set_time(then);
                REQUIRE(pair.consume(units));
                pair.set_time(then + std::chrono::milliseconds{2 * units});
                REQUIRE(pair.consume(1));
                REQUIRE(pair.refund(units / 2));
                if (set_back != 0s) pair.set_time(start + 1s - set_back + std::chrono::milliseconds{units});
                REQUIRE(pair.consume(units));
                REQUIRE(pair.refund(units));
                REQUIRE(pair.consume(3));
                REQUIRE(pair.agree());
            }
        }
    }
}

TEST_CASE("an admission at the limit reads three elements, drops one and appends one, as a rule") {
    RedisServer server;
    const sluice::RateLimiter limiter{sluice::SlidingWindow{1'000, 1s},
                                      sluice::RedisStore{server.url(), {.timeout = 10s}}};
    const auto calls = [&] {
        double all = 0;
        for (const char* name : {"lindex", "llen", "lrange", "lset", "lpop", "rpush", "ltrim"}) {
            const auto text = server.info("cmdstat_" + std::string{name});  // calls=..,usec=..
            if (!text.empty()) all += std::stod(text.substr(text.find('=') + 1));
        }
        return all;
    };
    nanoseconds now = start;
    REQUIRE(limiter.try_consume_at(now, "key", 1'000));
    now += 1s;
    REQUIRE(limiter.try_consume_at(now, "key", 1));
    for (int i = 0; i != 999; ++i) REQUIRE(limiter.try_consume_at(now += 1ms, "key"));
    now += 1us;
    const double before = calls();
    for (int i = 0; i != 999; ++i) REQUIRE(limiter.try_consume_at(now += 1ms, "key"));
    CHECK((calls() - before) / 999 < 6.5);
}

TEST_CASE("an exact log takes a quarter of a sorted set") {
    RedisServer server;
    const sluice::RateLimiter limiter{sluice::SlidingWindow{1'000, 1h},
                                      sluice::RedisStore{server.url(), {.timeout = 10s}}};
    nanoseconds now = start + 123'457us;
    for (int i = 0; i != 1'000; ++i) {
        REQUIRE(limiter.try_consume_at(now += 1'234'567us, "key"));
        const auto time = std::to_string(now / 1us);
        server.command({"ZADD", "sorted", time, time});
    }
    const auto bytes = [&](std::string_view key) {
        return std::stod(server.command({"MEMORY", "USAGE", key, "SAMPLES", "0"}));
    };
    const auto key = server.command({"KEYS", "sluice:*"});
    CHECK(bytes(key) <= bytes("sorted") / 4);
    server.command({"DEL", "sorted"});

    // A denial writes nothing, and what has left the window is let go of.
    const auto value = server.command({"DUMP", key});
    CHECK_FALSE(limiter.try_consume_at(now, "key"));
    CHECK_FALSE(limiter.try_consume_at(now + 30min, "key", 999));
    CHECK(server.command({"DUMP", key}) == value);
    CHECK(limiter.try_consume_at(now + 59min, "key"));
    CHECK(bytes(key) < 2'000);
}

TEST_CASE("an exact log always has a life, and none is left when all is given back") {
    RedisServer server;
    const sluice::RateLimiter limiter{sluice::SlidingWindow{100, 1h},
                                      sluice::RedisStore{server.url(), {.timeout = 10s}}};
    for (const std::uint64_t units : {1U, 8U, 16U, 17U, 24U, 25U, 100U}) {
        INFO(units);
        REQUIRE(limiter.try_consume("key", units));
        const auto key = server.command({"KEYS", "*"});
        const auto lives = [&] {
            const auto life = std::stoll(server.command({"PTTL", key}));
            return life > 7'205'000 && life <= 7'206'000;  // two windows, what is tolerated, and a second
        };
        CHECK(lives());
        for (std::uint64_t left = units; left > 1; --left) {
            REQUIRE_FALSE(limiter.refund("key", 1));
            REQUIRE(lives());
        }
        REQUIRE_FALSE(limiter.refund("key", 1));
        CHECK(server.command({"DBSIZE"}) == "0");
    }
}

TEST_CASE("the first admission in each window of time prolongs an exact log's life") {
    RedisServer server;
    const sluice::RateLimiter limiter{sluice::SlidingWindow{100, 1h},
                                      sluice::RedisStore{server.url(), {.timeout = 10s}}};
    const auto life_after = [&](nanoseconds now) {
        const auto key = server.command({"KEYS", "*"});
        if (!key.empty()) server.command({"PEXPIRE", key, "1000000"});
        REQUIRE_FALSE(limiter.try_consume_at(now, "key").error);
        return std::stoll(server.command({"PTTL", server.command({"KEYS", "*"})}));
    };
    CHECK(life_after(start + 59min) > 7'000'000);
    CHECK(life_after(start + 60min - 1us) <= 1'000'000);
    CHECK(life_after(start + 60min) > 7'000'000);
    CHECK(life_after(start + 61min) <= 1'000'000);
    CHECK(life_after(start + 1h) > 7'000'000);  // gone back
    CHECK(life_after(start + 5h) > 7'000'000);
}

TEST_CASE("a key of another type is not taken for a log") {
    RedisServer server;
    const sluice::RateLimiter limiter{sluice::SlidingWindow{5, 1h}, sluice::RedisStore{server.url(), {.timeout = 10s}}};
    const sluice::RateLimiter both{sluice::AllOf{sluice::SlidingWindow{5, 1h}, sluice::SlidingWindow{50, 24h}},
                                   sluice::RedisStore{server.url(), {.timeout = 10s}}};
    const auto refuses = [&](const auto& limiting, std::initializer_list<std::string_view> command) {
        server.command({"FLUSHALL"});
        REQUIRE(limiting.try_consume("theirs"));
        const auto keys = server.command({"KEYS", "*"});
        const auto key = keys.substr(0, keys.find(' '));
        server.command({"DEL", key});
        std::vector<std::string_view> words{command};
        if (words[0] == "SET") server.command({"SET", key, words[1]});
        if (words[0] == "RPUSH") {
            for (std::size_t i = 1; i != words.size(); ++i) server.command({"RPUSH", key, words[i]});
        }
        if (words[0] == "HSET") server.command({"HSET", key, words[1], words[2]});
        CHECK(limiting.try_consume("theirs").error == sluice::Errc::wrong_type);
        CHECK(limiting.refund("theirs", 1) == sluice::Errc::wrong_type);
        const std::vector<std::string_view> asked{"ours", "theirs", "ours"};
        std::vector<sluice::Decision> out(3);
        limiting.try_consume_many(asked, out);
        CHECK(out[0]);
        CHECK(out[1].error == sluice::Errc::wrong_type);
        CHECK(out[2].remaining == 3);
    };
    refuses(limiter, {"SET", "a text of more than sixteen bytes"});
    refuses(limiter, {"RPUSH", "short"});
    refuses(limiter, {"RPUSH", "1767225600123456", "1767225600123457"});
    refuses(limiter, {"HSET", "field", "value"});
    refuses(both, {"SET", "a text of more than sixteen bytes"});
}

TEST_CASE("the longest log, and the most logs of one key") {
    RedisServer server;
    const sluice::RedisStore store{server.url(), {.timeout = 10s}};
    const sluice::RateLimiter limiter{sluice::SlidingWindow{sluice::SlidingWindow::max_limit, 1s}, store};
    const auto most = sluice::SlidingWindow::max_limit;
    REQUIRE(limiter.try_consume_at(start, "key", most - 1).remaining == 1);
    REQUIRE(limiter.try_consume_at(start + 1us, "key").remaining == 0);
    REQUIRE(limiter.try_consume_at(start + 1us, "key", 2).retry_after == 1s - 1us);
    REQUIRE(limiter.try_consume_at(start + 1s, "key", most - 1).remaining == 0);

    const auto log = [](int limit) { return sluice::SlidingWindow{limit, 1h}; };
    const sluice::RateLimiter nine{
        sluice::AllOf{log(99), log(98), log(97), log(96), log(95), log(94), log(93), log(92), log(50)}, store};
    REQUIRE(nine.try_consume("key", 48).remaining == 2);
    const std::vector<std::string_view> keys(3, "key");
    std::vector<sluice::Decision> out(3);
    nine.try_consume_many(keys, out);
    CHECK(out[1].remaining == 0);
    CHECK_FALSE(out[2].error);
    CHECK_FALSE(out[2].allowed);
}
