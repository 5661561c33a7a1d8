// SPDX-License-Identifier: MIT

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <sluice/redis.hpp>
#include <sluice/redis/wire/slot.hpp>
#include <sluice/sluice.hpp>

#include "support/catch.hpp"
#include "support/fake_server.hpp"
#include "support/load.hpp"
#include "support/loop_load.hpp"
#include "support/redis_cluster.hpp"

using namespace std::chrono_literals;
using sluice::Decision;
using sluice::Errc;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::uint64_t limit = 1'000'000;
const sluice::FixedWindow plenty{limit, 24h};

using Limiter = sluice::RateLimiter<sluice::FixedWindow, sluice::RedisStore>;

/// `prefix` alone tells where a key lies only if it has a hash tag; else its name does, see owner_of.
Limiter limiter_on(const std::string& url, const std::string& prefix, std::chrono::milliseconds timeout) {
    return Limiter{plenty, sluice::RedisStore{url, {.timeout = timeout, .prefix = prefix}}, {.name = "load"}};
}
/// The same for an event loop. It asks whether it is answered or not, six times a millisecond, so that the calls that wait
/// for a server that the machine holds up for a moment are soon more than the usual `max_waiting`; more would fail, rightly.
auto loop_limiter_on(const std::string& url, const std::string& prefix, std::chrono::milliseconds timeout) {
    return sluice::RateLimiter{plenty,
                               sluice::AsyncRedis{url, {.timeout = timeout, .prefix = prefix, .max_waiting = 100'000}},
                               {.name = "load"}};
}

using Seen = SeenCall;

/// Who asks: threads for one key after the other, threads for some at once, or an event loop.
enum class Way { one, many, loop };
Way ways() { return GENERATE(Way::one, Way::many, Way::loop); }
const char* text_of(Way way) {
    return way == Way::one ? "one key after the other" : way == Way::many ? "many keys at once" : "an event loop";
}

/// Runs the load until the story is over. An event loop has a client of its own, `loop`.
template <class LoopLimiter, class Story>
LoopReport under_load(Way way, const Limiter& limiter, const LoopLimiter& loop, const std::vector<std::string>& keys,
                      Story story) {
    if (way == Way::loop) return under_loop_load(loop, keys, story);
    const bool many = way == Way::many;
    constexpr std::size_t threads = 6;
    std::atomic<bool> is_over{false};
    std::array<std::vector<Seen>, threads> seen;
    std::vector<std::thread> all;
    for (std::size_t t = 0; t != threads; ++t) {
        all.emplace_back([&, t] {
            std::array<std::string_view, 8> some;
            std::array<Decision, 8> decisions;
            for (std::size_t i = t; !is_over; ++i) {
                if (!many) {
                    const std::size_t key = i % keys.size();
                    const Decision decision = limiter.try_consume(keys[key]);
                    seen[t].push_back({Clock::now(), key, decision.error});
                } else {
                    for (std::size_t k = 0; k != some.size(); ++k) some[k] = keys[(i + k) % keys.size()];
                    limiter.try_consume_many(std::span<const std::string_view>{some}, decisions);
                    const auto now = Clock::now();
                    for (std::size_t k = 0; k != some.size(); ++k)
                        seen[t].push_back({now, (i + k) % keys.size(), decisions[k].error});
                }
                std::this_thread::sleep_for(1ms);
            }
        });
    }
    story();
    is_over = true;
    for (auto& thread : all) thread.join();
    LoopReport sum;
    for (const auto& one : seen) sum.seen.insert(sum.seen.end(), one.begin(), one.end());
    sum.stats = limiter.store().stats();
    return sum;
}

std::vector<std::string> keys_of(std::size_t count) {
    std::vector<std::string> keys;
    for (std::size_t i = 0; i != count; ++i) keys.push_back("key" + std::to_string(i));
    return keys;
}

std::uint64_t used(const Limiter& limiter, const std::string& key) {
    const Decision decision = limiter.peek(key);
    REQUIRE_FALSE(decision.error);
    return limit - decision.remaining;
}

/// What the servers counted is what callers were told, exactly.
void counts_are_exact(const Limiter& limiter, const std::vector<std::string>& keys, const std::vector<Seen>& seen) {
    std::map<std::size_t, std::uint64_t> told;
    for (const Seen& one : seen) ++told[one.key];
    for (std::size_t key = 0; key != keys.size(); ++key) {
        INFO(keys[key]);
        CHECK(used(limiter, keys[key]) == told[key]);
    }
}

std::size_t failures(const std::vector<Seen>& seen) {
    std::map<std::string, std::size_t> errors;
    std::size_t count = 0;
    for (const Seen& one : seen) {
        if (!one.error) continue;
        ++count;
        ++errors[one.error.message()];
    }
    for (const auto& [message, times] : errors) UNSCOPED_INFO(times << " x " << message);
    return count;
}

/// A key of the prefix in one of the slots of a master of the beginning. Its name alone is what the limiter is asked for.
std::vector<std::string> tags_on(const RedisCluster& cluster, std::size_t master, std::size_t count) {
    std::vector<std::string> tags;
    for (std::size_t i = 0; tags.size() != count; ++i) {
        const std::string tag = "t" + std::to_string(i);
        if (cluster.first_owner(tag) == master) tags.push_back(tag);
    }
    return tags;
}

}  // namespace

TEST_CASE("slots that are moved under load fail no decision and lose no count") {
    RedisCluster cluster{3};
    const auto tag = tags_on(cluster, 0, 1).front();
    const auto slot = sluice::detail::redis::slot_of(tag);
    const Way way = ways();
    INFO(text_of(way));
    const auto keys = keys_of(way == Way::many ? 16 : 40);
    const std::string prefix = "{" + tag + "}";  // all keys in the slot that is moved
    const Limiter limiter = limiter_on(cluster.url(1), prefix, 10s);
    for (const auto& key : keys_of(40)) static_cast<void>(limiter.try_consume(key, 0));

    const auto [seen, slowest, stats] =
        under_load(way, limiter, loop_limiter_on(cluster.url(1), prefix, 10s), keys, [&] {
            std::size_t at = 0;
            for (int move = 0; move != 6; ++move) {
                const std::size_t to = (at + 1) % 3;
                std::this_thread::sleep_for(50ms);
                cluster.begin_move(slot, at, to);
                std::this_thread::sleep_for(20ms);
                while (cluster.move_keys(slot, at, to, 3)) std::this_thread::sleep_for(2ms);
                std::this_thread::sleep_for(20ms);
                cluster.end_move(slot, at, to);
                at = to;
            }
        });
    CHECK(failures(seen) == 0);
    CHECK(seen.size() > 100);
    counts_are_exact(limiter, keys, seen);
    CHECK(stats.redirections > 0);
    CHECK(stats.breaker_openings == 0);
}

TEST_CASE("many slots that leave a node") {
    RedisCluster cluster{3};
    const Limiter limiter = limiter_on(cluster.url(1), "many", 10s);
    const auto keys = keys_of(400);
    const Way way = GENERATE(Way::many, Way::loop);
    INFO(text_of(way));
    const auto loop = loop_limiter_on(cluster.url(1), "many", 10s);
    const auto seen = under_load(way, limiter, loop, keys, [&] {
                          for (std::size_t slot = 0; slot != 400; ++slot) cluster.move(slot, 0, 1);
                      }).seen;
    CHECK(failures(seen) == 0);
    counts_are_exact(limiter, keys, seen);
}

TEST_CASE("several limits on one key of a slot that is moved are charged once or not at all") {
    RedisCluster cluster{3};
    const auto tag = tags_on(cluster, 0, 1).front();
    const auto slot = sluice::detail::redis::slot_of(tag);
    const sluice::RedisStore redis{cluster.url(), {.timeout = 500ms, .prefix = "{" + tag + "}"}};
    const sluice::RateLimiter both{sluice::AllOf{sluice::FixedWindow{50, 24h}, plenty}, redis, {.name = "both"}};
    for (const auto& key : keys_of(3)) CHECK(both.try_consume(key).remaining == 49);
    cluster.begin_move(slot, 0, 1);
    for (const auto& key : keys_of(3)) CHECK(both.try_consume(key).remaining == 48);
    CHECK(cluster.move_keys(slot, 0, 1, 3));  // a half of one key, perhaps
    std::size_t decided = 0;
    for (const auto& key : keys_of(3)) {
        const Decision decision = both.try_consume(key);
        // Repeated until its deadline, and perhaps too late for a last time.
        if (decision.error) CHECK((decision.error == Errc::busy || decision.error == Errc::timeout));
        decided += decision.error ? 0U : 1U;
    }
    CHECK(both.try_consume("new").error);  // Redis runs no script of several keys that are not there yet
    while (cluster.move_keys(slot, 0, 1, 3)) {
    }
    for (const auto& key : keys_of(3)) decided += both.try_consume(key).error ? 0U : 1U;
    CHECK(decided >= 3);
    cluster.end_move(slot, 0, 1);
    CHECK(both.try_consume("new").remaining == 49);
    std::uint64_t charged = 0;
    for (const auto& key : keys_of(3)) charged += 48 - both.peek(key).remaining;
    CHECK(charged == decided);
}

TEST_CASE("a master that is killed fails its own slots alone, until another is promoted") {
    RedisCluster cluster{3, true};
    const Limiter limiter = limiter_on(cluster.url(1), "kill", 500ms);
    const auto keys = keys_of(60);
    // Where each key lies: the server that holds it after one request.
    std::vector<std::size_t> owners;
    std::array<std::string, 3> before;
    for (const auto& key : keys) {
        std::array<std::size_t, 3> counts;
        for (std::size_t i = 0; i != 3; ++i) counts[i] = std::stoul(cluster.node(i).command({"DBSIZE"}));
        REQUIRE_FALSE(limiter.try_consume(key).error);
        for (std::size_t i = 0; i != 3; ++i) {
            if (std::stoul(cluster.node(i).command({"DBSIZE"})) != counts[i]) owners.push_back(i);
        }
    }
    REQUIRE(owners.size() == keys.size());
    const Way way = ways();
    INFO(text_of(way));

    Clock::time_point killed, promoted;
    HiccupMeter hiccups;
    const auto loop = loop_limiter_on(cluster.url(1), "kill", 500ms);
    const auto [seen, slowest, stats] = under_load(way, limiter, loop, keys, [&] {
        std::this_thread::sleep_for(300ms);
        killed = Clock::now();
        cluster.node(0).kill();
        RedisCluster::wait_for("promotion", cluster.replica_of(0),
                               [](RedisServer& one) { return one.info("role") == "master"; });
        promoted = Clock::now();
        std::this_thread::sleep_for(1'500ms);
    });

    // On a machine that holds threads up, calls to masters that are well may be late, too.
    const auto held_up = hiccups.stop();
    const auto soon = 1s + 20 * held_up;
    std::map<std::string, std::size_t> wrong;
    std::uint64_t lost = 0;
    Clock::time_point recovered = Clock::time_point::max();
    for (const Seen& one : seen) {
        const bool is_lost = owners[one.key] == 0;
        if (one.error && !is_lost) ++wrong["a key of another master: " + one.error.message()];
        if (one.error && one.at < killed) ++wrong["before: " + one.error.message()];
        if (one.error && one.at > promoted + soon) ++wrong["a second after: " + one.error.message()];
        if (one.error && is_lost) ++lost;
        if (!one.error && is_lost && one.at > promoted) recovered = std::min(recovered, one.at);
    }
    for (const auto& [what, times] : wrong) UNSCOPED_INFO(times << " x " << what);
    CHECK((wrong.empty() || held_up > 20ms));
    CHECK(lost > 0);
    CHECK(recovered < promoted + soon);

    // No unit was charged twice: at most what callers were told, and what they were not told of.
    std::map<std::size_t, std::uint64_t> told, untold;
    for (const Seen& one : seen) ++(one.error ? untold : told)[one.key];
    for (std::size_t key = 0; key != keys.size(); ++key) {
        const auto count = used(limiter, keys[key]) - 1;
        CHECK(count <= told[key] + untold[key]);
        if (owners[key] != 0) CHECK(count == told[key]);
    }
    if (way == Way::loop) CHECK(slowest < 600ms + 20 * held_up);
    CHECK(stats.nodes.size() == 3);
    CHECK_FALSE(stats.breaker_is_open);
}

TEST_CASE("a call that finds its master gone is answered by the one in its place") {
    RedisCluster cluster{3, true};
    const auto tag = tags_on(cluster, 0, 1).front();
    const Limiter threads = limiter_on(cluster.url(1), "{" + tag + "}", 10s);
    const auto loop = loop_limiter_on(cluster.url(1), "{" + tag + "}", 10s);
    const auto ask_loop = [&] {
        return answer_to(loop.store(), [&](auto done) { loop.async_try_consume("key", 1, std::move(done)); });
    };
    REQUIRE_FALSE(threads.try_consume("key").error);
    REQUIRE_FALSE(ask_loop().error);
    cluster.node(0).kill();
    for (const std::size_t witness : {std::size_t{1}, std::size_t{2}}) {
        RedisCluster::wait_for("promotion", cluster.node(witness), [&](RedisServer& one) {
            const auto known = one.command({"CLUSTER", "SLOTS"});
            return known.find(std::to_string(cluster.port(3))) != std::string::npos &&
                   known.find(std::to_string(cluster.port(0))) == std::string::npos;
        });
    }
    CHECK_FALSE(threads.try_consume("key").error);
    CHECK_FALSE(ask_loop().error);
    CHECK(threads.store().stats().failures == 0);
    CHECK(loop.store().stats().failures == 0);
}

TEST_CASE("a planned failover loses no count") {
    RedisCluster cluster{3, true};
    const Limiter limiter = limiter_on(cluster.url(2), "planned", 10s);
    const auto keys = keys_of(60);
    const Way way = GENERATE(Way::one, Way::loop);
    INFO(text_of(way));
    const auto loop = loop_limiter_on(cluster.url(2), "planned", 10s);
    const auto seen = under_load(way, limiter, loop, keys, [&] {
                          std::this_thread::sleep_for(200ms);
                          CHECK(cluster.replica_of(0).command({"CLUSTER", "FAILOVER"}) == "OK");
                          RedisCluster::wait_for("promotion", cluster.replica_of(0),
                                                 [](RedisServer& one) { return one.info("role") == "master"; });
                          std::this_thread::sleep_for(500ms);
                      }).seen;
    CHECK(failures(seen) == 0);
    counts_are_exact(limiter, keys, seen);
}

TEST_CASE("a master that hangs holds up nobody's keys but its own") {
    RedisCluster cluster{3};
    const Limiter limiter = limiter_on(cluster.url(), "hang", 1s);
    const auto keys = keys_of(90);
    std::vector<Decision> decisions(keys.size());
    limiter.try_consume_many(keys, decisions);
    for (const Decision& decision : decisions) REQUIRE_FALSE(decision.error);
    cluster.node(1).freeze();
    std::size_t fine = 0, timed_out = 0, turned_away = 0;
    for (int round = 0; round != 12; ++round) {
        limiter.try_consume_many(keys, decisions);
        for (const Decision& decision : decisions) {
            fine += decision.error ? 0U : 1U;
            timed_out += decision.error == Errc::timeout ? 1U : 0U;
            turned_away += decision.error == Errc::breaker_open ? 1U : 0U;
        }
    }
    cluster.node(1).thaw();
    CHECK(fine + timed_out + turned_away == 12 * keys.size());
    CHECK(fine > 12 * 45);
    CHECK(fine % 12 == 0);  // always the same keys
    CHECK(timed_out > 0);
    CHECK(turned_away > 0);
}

TEST_CASE("a cluster that does not serve a slot says so, and one that comes late is found") {
    RedisCluster cluster{3};
    const auto tag = tags_on(cluster, 0, 1).front();
    const Limiter limiter = limiter_on(cluster.url(1), "{" + tag + "}", 2s);
    REQUIRE_FALSE(limiter.try_consume("key").error);
    const auto slot = std::to_string(sluice::detail::redis::slot_of(tag));
    for (std::size_t i = 0; i != 3; ++i) CHECK(cluster.node(i).command({"CLUSTER", "DELSLOTS", slot}) == "OK");
    CHECK(limiter.try_consume("key").error == Errc::busy);
    CHECK(limiter.store().ping(2s) == Errc::busy);
    CHECK(cluster.node(0).command({"CLUSTER", "ADDSLOTS", slot}) == "OK");
    RedisCluster::wait_for("decision", cluster.node(0),
                           [&](RedisServer&) { return !limiter.try_consume("key").error; });

    const auto tail = ",127.0.0.1:" + std::to_string(cluster.node(2).port());
    CHECK_FALSE(limiter_on("redis+cluster://127.0.0.1:1" + tail, "late", 2s).try_consume("key").error);

    // One that accepts, and says nothing, costs a call, and is asked last the next time, a tenth of a second later.
    FakeServer silent{[](const FakePeer& peer) { peer.fall_silent(); }};
    const auto first = silent.url().substr(silent.url().rfind('/') + 1);
    const Limiter later = limiter_on("redis+cluster://" + first + tail, "later", 1s);
    CHECK(later.try_consume("key").error == Errc::timeout);
    RedisCluster::wait_for("decision", cluster.node(0), [&](RedisServer&) { return !later.try_consume("key").error; });
    CHECK(later.store().stats().map_requests == 2);
}

TEST_CASE("a loop's calls end in time wherever they are in a cluster, and are cancelled there") {
    RedisCluster cluster{3};
    const auto tag = tags_on(cluster, 0, 1).front();
    const auto slot = sluice::detail::redis::slot_of(tag);
    const sluice::RedisOptions options{.timeout = 1s, .prefix = "{" + tag + "}"};
    const sluice::AllOf policy{sluice::FixedWindow{50, 24h}, plenty};
    const auto decide = [&](const sluice::AsyncRedis& redis, const char* key = "key") {
        const sluice::RateLimiter limiter{policy, redis, {.name = "both"}};
        return answer_to(redis, [&](auto done) { limiter.async_try_consume(key, 1, std::move(done)); });
    };
    const auto cancelled = [&](const sluice::AsyncRedis& redis, const char* key) {
        const sluice::RateLimiter limiter{policy, redis, {.name = "both"}};
        std::error_code error;
        limiter.async_try_consume(key, 1, [&](Decision decision) { error = decision.error; });
        for (int i = 0; i != 20; ++i) turn(redis, 1);
        CHECK_FALSE(error);
        redis.cancel();
        return error == Errc::cancelled;
    };
    const std::string tail = ",127.0.0.1:" + std::to_string(cluster.port(2));
    {
        // Nobody has told the map. One that is silent is asked last the next time.
        FakeServer silent{[](const FakePeer& peer) { peer.fall_silent(); }};
        const sluice::AsyncRedis redis{"redis+cluster://" + silent.url().substr(silent.url().rfind('/') + 1) + tail,
                                       options};
        CHECK(cancelled(redis, "key"));
        CHECK(decide(redis).error == Errc::timeout);
        RedisCluster::wait_for("decision", cluster.node(0), [&](RedisServer&) { return !decide(redis).error; });
        CHECK(redis.stats().map_requests == 2);
    }
    const sluice::AsyncRedis redis{"redis+cluster://127.0.0.1:1" + tail, options};
    const auto before = 50 - decide(redis).remaining;
    CHECK(before >= 2);
    // A slot that is being moved, and takes no script of keys that are not there yet.
    cluster.begin_move(slot, 0, 1);
    CHECK(decide(redis).remaining == 50 - before - 1);
    const auto start = Clock::now();
    const auto error = decide(redis, "new").error;
    CHECK((error == Errc::busy || error == Errc::timeout));  // perhaps asked once more when its time was over
    CHECK(Clock::now() - start > 750ms);
    CHECK(cancelled(redis, "new"));
    while (cluster.move_keys(slot, 0, 1, 3)) {
    }
    CHECK(decide(redis).remaining == 50 - before - 2);
    cluster.end_move(slot, 0, 1);
    CHECK(decide(redis, "new").remaining == 49);
    // One that nobody serves.
    for (std::size_t i = 0; i != 3; ++i)
        CHECK(cluster.node(i).command({"CLUSTER", "DELSLOTS", std::to_string(slot)}) == "OK");
    CHECK(decide(redis).error == Errc::busy);
}
