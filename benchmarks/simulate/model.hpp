// SPDX-License-Identifier: MIT
#ifndef SLUICE_BENCHMARKS_SIMULATE_MODEL_HPP
#define SLUICE_BENCHMARKS_SIMULATE_MODEL_HPP

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/sluice.hpp>

// A network of service instances and Redis shards in simulated time. What decides is the library: its policy, its memory store
// as a shard's state, its layers. What is modelled is what lies between: the network, a shard's queue and the time that it
// takes for a decision, the client's batches, deadline and breaker.
namespace simulate {

using std::chrono::nanoseconds;
using namespace std::chrono_literals;
using Policy = sluice::FixedWindow;

/// What is simulated.
struct World {
    int instances = 1'000;
    std::size_t shards = 16;
    std::size_t keys = 100'000;
    double peak = 1e6;           ///< decisions a second, of all instances, at the busiest time
    nanoseconds length = 24s;    ///< one day
    nanoseconds lost_from = 8s;  ///< the hot key's shard is away
    nanoseconds lost_until = 18s;
    double hot = 0.3;              ///< of all decisions are for one key, half again at the end of the day
    nanoseconds network = 2ms;     ///< there and back
    nanoseconds deadline = 200ms;  ///< of a call
    double alone_us = 6.9;         ///< processor time of a shard for a call with one decision
    double batched_us = 2.5;       ///< and for each further decision of the same call
    double local_us = 0.1;         ///< a decision within the process
    bool batches = true;

    double load(nanoseconds now) const {  ///< decisions a second: least at the beginning and the end
        const double day = static_cast<double>(now.count()) / static_cast<double>(length.count());
        return peak * (0.75 - 0.25 * std::cos(2 * 3.14159265358979 * day));
    }
};

/// For a load of a million a second, and in proportion.
struct Limits {
    explicit Limits(const World& world)
        : hot{static_cast<std::uint64_t>(world.peak / 5), 1s}, other{static_cast<std::uint64_t>(world.peak / 1'000),
                                                                     1s} {}
    Policy hot, other;
};

/// What came out, in all and in each second.
struct Outcome {
    struct Second {
        double decisions = 0, admitted = 0, hot_admitted = 0, asked = 0;
    };
    std::uint64_t decisions = 0, admitted = 0, due = 0, degraded = 0;  // due: what one exact limiter would admit
    std::uint64_t asked = 0, calls = 0;                                // decisions that shards made, and calls for them
    double server_us = 0;
    double worst = 0;       // the most that was admitted of a key in a window, of its limit
    double worst_calm = 0;  // the same while no shard was lost
    std::vector<Second> seconds{};
    std::array<std::uint64_t, 512> latencies{};

    static std::size_t bucket(double us) {
        return std::min<std::size_t>(511, static_cast<std::size_t>(std::max(0.0, 20 * std::log2(us / 0.05))));
    }
    /// In us.
    double quantile(double q) const {
        std::uint64_t all = 0, below = 0;
        for (const auto count : latencies) all += count;
        for (std::size_t i = 0; i != latencies.size(); ++i) {
            below += latencies[i];
            if (static_cast<double>(below) >= q * static_cast<double>(all))
                return 0.05 * std::exp2(static_cast<double>(i + 1) / 20);
        }
        return 0;
    }
};

/// The shards and the ways to them.
class Cluster {
public:
    explicit Cluster(const World& world)
        : world_(world), clients_(static_cast<std::size_t>(world.instances) * world.shards) {
        for (std::size_t i = 0; i != world.shards; ++i) shards_.push_back(std::make_unique<Shard>());
    }

    /// One decision of an instance at a time; adds how long the caller waits.
    template <class Decide>
    sluice::Decision call(std::size_t instance, std::string_view key, nanoseconds now, Decide decide) {
        const std::size_t index = std::hash<std::string_view>{}(key) % world_.shards;
        Shard& shard = *shards_[index];
        Client& client = clients_[instance * world_.shards + index];
        if (is_lost(index, now)) {
            if (now < client.breaker_until) return sluice::failure(sluice::Errc::breaker_open);
            client.breaker_until = now + world_.deadline + 1s;  // a probe each second
            waited += world_.deadline;
            return sluice::failure(sluice::Errc::timeout);
        }
        // A call leaves at once, or, with a call under way on each connection, with others when the first is back.
        const auto us = [](double count) { return nanoseconds{static_cast<std::int64_t>(count * 1'000)}; };
        for (Connection& one : client.connections) {
            if (one.waiting != 0 && now >= one.back) one = {one.next_back, {}, 0};
        }
        Connection& flight = *std::min_element(client.connections.begin(), client.connections.end(),
                                               [](const auto& a, const auto& b) { return a.back < b.back; });
        const bool joins = world_.batches && now < flight.back;
        // What a shard has to do is taken to be there as soon as it is known of: the queue is one of work.
        const auto queue = std::max(nanoseconds{0}, shard.busy_until - now);
        if (queue > world_.deadline) {
            waited += world_.deadline;
            return sluice::failure(sluice::Errc::timeout);
        }
        const bool is_further = joins && flight.waiting != 0;
        const double cost_us = is_further ? world_.batched_us : world_.alone_us;
        shard.busy_until = now + queue + us(cost_us);
        server_us += cost_us;
        calls += is_further ? 0U : 1U;
        auto& back = joins ? flight.next_back : flight.back;
        back = is_further ? back + us(cost_us) : (joins ? flight.back : now) + world_.network + queue + us(cost_us);
        if (joins) ++flight.waiting;
        waited += back - now;
        ++asked;
        shard.clock.set(time);
        return decide(shard.store);
    }

    bool is_lost(std::size_t shard, nanoseconds now) const {
        return shard == hot_shard && now >= world_.lost_from && now < world_.lost_until;
    }

    std::size_t hot_shard = 0;
    nanoseconds time{0};  // at which shards decide: what is asked is counted, and there, at once; only its caller waits
    nanoseconds waited{0};
    // In all.
    std::uint64_t asked = 0, calls = 0;
    double server_us = 0;

private:
    struct Shard {
        sluice::ManualClock clock;
        sluice::MemoryStore<Policy, sluice::ManualClock> store{{}, clock};
        nanoseconds busy_until{0};
    };
    struct Connection {
        nanoseconds back{0}, next_back{0};
        int waiting = 0;  // decisions, for the next call
    };
    struct Client {
        std::array<Connection, 3> connections{};
        nanoseconds breaker_until{0};
    };

    World world_;
    std::vector<std::unique_ptr<Shard>> shards_;
    std::vector<Client> clients_;
};

/// A shared store as an instance sees it: what RedisStore is elsewhere.
struct RemoteStore {
    Cluster* cluster;
    std::size_t instance;
    sluice::ManualClock clock;
    nanoseconds network;

    sluice::Decision decide(const sluice::Request<Policy>& request) const noexcept {
        return timed([&] {
            return cluster->call(instance, request.key, clock.now(),
                                 [&](const auto& store) { return store.decide(request); });
        });
    }
    sluice::Consumption consume(const sluice::Request<Policy>& request) const noexcept {
        sluice::Consumption taken;
        taken.decision = timed([&] {
            return cluster->call(instance, request.key, clock.now(), [&](const auto& store) {
                taken = store.consume(request);
                return taken.decision;
            });
        });
        return taken;
    }

private:
    /// The caller's clock goes on while it waits, so that a lease learns how long that takes.
    template <class Call>
    sluice::Decision timed(Call call) const {
        const auto decision = call();
        clock.advance(network);
        return decision;
    }
};

/// Keys by Zipf's law, exponent 1; the hot key is key 0.
class Keys {
public:
    explicit Keys(const World& world) {
        double sum = 0;
        for (std::size_t i = 1; i <= world.keys; ++i) {
            sum += 1 / static_cast<double>(i);
            sums_.push_back(sum);
            names.push_back("user:" + std::to_string(100'000 + i));
        }
        // A table of quantiles, so that a draw costs no search.
        quantiles_.resize(1 << 20);
        std::size_t key = 0;
        for (std::size_t i = 0; i != quantiles_.size(); ++i) {
            const double at = sum * (static_cast<double>(i) + 0.5) / static_cast<double>(quantiles_.size());
            while (sums_[key] < at) ++key;
            quantiles_[i] = static_cast<std::uint32_t>(key);
        }
        names[0] = "hot";
    }
    std::uint32_t draw(std::uint64_t random, double hot) const {
        if (static_cast<double>(random >> 40) < hot * static_cast<double>(1 << 24)) return 0;
        return std::max<std::uint32_t>(1, quantiles_[random & (quantiles_.size() - 1)]);
    }

    std::vector<std::string> names;

private:
    std::vector<double> sums_;
    std::vector<std::uint32_t> quantiles_;
};

/// One day. `make(remote, clock)` makes an instance's store, of which `maintain(store)` does the background's work.
template <class Make, class Maintain>
Outcome run(const World& world, const Keys& keys, Make make, Maintain maintain) {
    const Limits limits{world};
    Cluster cluster{world};
    cluster.hot_shard = std::hash<std::string_view>{}(keys.names[0]) % world.shards;
    std::vector<sluice::ManualClock> clocks(static_cast<std::size_t>(world.instances));
    using Store = decltype(make(RemoteStore{&cluster, 0, clocks[0], world.network}, clocks[0]));
    std::vector<sluice::RateLimiter<Policy, Store>> limiters;
    for (std::size_t i = 0; i != clocks.size(); ++i) {
        clocks[i] = sluice::ManualClock{};
        limiters.emplace_back(limits.other, make(RemoteStore{&cluster, i, clocks[i], world.network}, clocks[i]));
    }

    Outcome outcome;
    outcome.seconds.resize(static_cast<std::size_t>(world.length / 1s) + 1);
    // What was admitted and asked for in this window and the last.
    std::array<std::vector<std::uint32_t>, 2> admitted, wanted;
    for (auto* of : {&admitted, &wanted}) {
        for (auto& one : *of) one.resize(keys.names.size());
    }
    const auto close_window = [&](std::size_t second) {
        auto& in = admitted[second % 2];
        auto& asked = wanted[second % 2];
        const bool is_calm = nanoseconds{static_cast<std::int64_t>(second + 1) * 1'000'000'000} <= world.lost_from ||
                             nanoseconds{static_cast<std::int64_t>(second) * 1'000'000'000} >= world.lost_until + 2s;
        for (std::size_t key = 0; key != in.size(); ++key) {
            const std::uint64_t limit = key == 0 ? limits.hot.limit() : limits.other.limit();
            outcome.due += std::min<std::uint64_t>(asked[key], limit);
            const double part = static_cast<double>(in[key]) / static_cast<double>(limit);
            outcome.worst = std::max(outcome.worst, part);
            if (is_calm) outcome.worst_calm = std::max(outcome.worst_calm, part);
        }
        std::fill(in.begin(), in.end(), 0);
        std::fill(asked.begin(), asked.end(), 0);
    };

    std::mt19937_64 random{42};
    nanoseconds now{0};
    std::size_t second = 0;
    constexpr nanoseconds pass = 2500us;  // of each instance's background
    std::size_t next_instance = 0;
    nanoseconds next_pass{0};
    const auto steps_per_pass = clocks.size();
    while (now < world.length) {
        // Exponential gaps, a day's load.
        const double uniform = (static_cast<double>(random() >> 11) + 0.5) * 0x1p-53;
        now += nanoseconds{static_cast<std::int64_t>(-std::log(uniform) / world.load(now) * 1e9)};
        for (; next_pass <= now; next_pass += pass / static_cast<int>(steps_per_pass)) {
            // What the pass asks for is there when it has come back: so the pass is made then, and began before.
            cluster.time = next_pass;
            clocks[next_instance].set(std::max(nanoseconds{0}, next_pass - world.network));
            maintain(limiters[next_instance].store());
            next_instance = (next_instance + 1) % clocks.size();
        }
        while (now >= nanoseconds{static_cast<std::int64_t>(second + 1) * 1'000'000'000} + world.network)
            close_window(second++);

        const auto instance = static_cast<std::size_t>(random() % clocks.size());
        const bool is_evening = now > world.length * 3 / 4;
        const std::uint32_t key = keys.draw(random(), is_evening ? world.hot * 1.5 : world.hot);
        cluster.waited = nanoseconds{0};
        cluster.time = now;
        clocks[instance].set(now);
        const std::uint64_t asked_before = cluster.asked;
        const auto decision = limiters[instance].try_consume(keys.names[key], 1, key == 0 ? limits.hot : limits.other);

        const double us = world.local_us + static_cast<double>(cluster.waited.count()) / 1e3;
        ++outcome.latencies[Outcome::bucket(us)];
        ++outcome.decisions;
        outcome.degraded += decision.error ? 1U : 0U;
        const auto window = static_cast<std::size_t>(now / 1s);
        ++wanted[window % 2][key];
        auto& in_second = outcome.seconds[std::min(outcome.seconds.size() - 1, static_cast<std::size_t>(now / 1s))];
        in_second.decisions += 1;
        in_second.asked += static_cast<double>(cluster.asked - asked_before);
        if (decision.allowed) {
            ++admitted[window % 2][key];
            ++outcome.admitted;
            in_second.admitted += 1;
            if (key == 0) in_second.hot_admitted += 1;
        }
    }
    close_window(second);
    close_window(second + 1);
    outcome.asked = cluster.asked;
    outcome.calls = cluster.calls;
    outcome.server_us = cluster.server_us;
    return outcome;
}

}  // namespace simulate

#endif
