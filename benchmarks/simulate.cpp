// SPDX-License-Identifier: MIT
//
// What the layers do at a scale that no test machine has: 1,000 instances of a service, a day in 24 seconds, a hot key whose
// shard is lost for ten of them. The library's own policies, stores and layers decide; see simulate/model.hpp for the rest.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <sluice/layers/denial_cache.hpp>
#include <sluice/layers/fallback.hpp>
#include <sluice/layers/lease.hpp>
#include <sluice/layers/share.hpp>

#include "simulate/chart.hpp"
#include "simulate/model.hpp"
#include "support/machine.hpp"

namespace {

using namespace simulate;
using Memory = sluice::MemoryStore<Policy, sluice::ManualClock>;

struct Row {
    std::string name, colour;
    Outcome outcome{};
};

/// Each way to decide, over one network.
std::vector<Row> simulate_all(World world, const Keys& keys) {
    const auto instances = static_cast<std::uint32_t>(world.instances);
    const auto share = [=](const sluice::ManualClock& clock) {
        return sluice::Share{Memory{{.max_keys = 4'096}, clock}, instances};
    };
    const auto lease = [=](const RemoteStore& remote, const sluice::ManualClock& clock) {
        return sluice::Lease{remote, {.instances = instances, .max_keys = 64, .drive = sluice::Drive::manual}, clock};
    };
    const sluice::DenialCacheOptions denials{.max_keys = 1'024};
    const auto nothing = [](const auto&) {};
    std::vector<Row> rows;
    const auto add = [&](const char* name, const char* colour, auto make, auto maintain) {
        std::fprintf(stderr, " %s", name);
        rows.push_back({name, colour, run(world, keys, make, maintain)});
    };
    world.batches = false;
    add(
        "plain", "#888888",
        [&](auto remote, auto clock) {
            return sluice::Fallback{remote, share(clock)};
        },
        nothing);
    world.batches = true;
    add(
        "batched", "#4477aa",
        [&](auto remote, auto clock) {
            return sluice::Fallback{remote, share(clock)};
        },
        nothing);
    add(
        "denial cache", "#ee6677",
        [&](auto remote, auto clock) {
            return sluice::Fallback{sluice::DenialCache{remote, denials, clock}, share(clock)};
        },
        nothing);
    add(
        "lease", "#228833",
        [&](auto remote, auto clock) {
            return sluice::Fallback{lease(remote, clock), share(clock)};
        },
        [](const auto& store) { store.primary().maintain(); });
    add(
        "lease + denial cache", "#aa3377",
        [&](auto remote, auto clock) {
            return sluice::Fallback{sluice::DenialCache{lease(remote, clock), denials, clock}, share(clock)};
        },
        [](const auto& store) { store.primary().store().maintain(); });
    add(
        "share only", "#ccbb44", [&](auto, auto clock) { return share(clock); }, nothing);
    std::fputc('\n', stderr);
    return rows;
}

/// Redis servers, each busy for 60 % of the time, for so many decisions a second of as many more instances as it takes.
std::string servers(const Outcome& outcome, double per_second) {
    const double each = outcome.server_us / static_cast<double>(outcome.decisions);
    const double count = std::ceil(per_second * each / 1e6 / 0.6);
    return std::to_string(static_cast<long long>(count));
}

std::string table(const std::vector<Row>& rows) {
    std::ostringstream out;
    char line[400];
    out << "| | admitted, of what one exact limiter admits | worst key and second, of its limit | the same, no shard "
           "lost "
           "| decisions by Redis, each | calls to Redis, each | p50 | p99 | servers for 1 M/s | 10 M/s | 100 M/s |\n"
           "|---|---|---|---|---|---|---|---|---|---|---|\n";
    for (const auto& [name, colour, outcome] : rows) {
        const auto time = [](double us) {
            char text[32];
            std::snprintf(text, sizeof text, us < 1'000 ? "%.1f us" : "%.1f ms", us < 1'000 ? us : us / 1'000);
            return std::string{text};
        };
        const auto all = static_cast<double>(outcome.decisions);
        std::snprintf(line, sizeof line, "| %s | %.4f | %.3f | %.3f | %.4f | %.4f | %s | %s | %s | %s | %s |\n",
                      name.c_str(), static_cast<double>(outcome.admitted) / static_cast<double>(outcome.due),
                      outcome.worst, outcome.worst_calm, static_cast<double>(outcome.asked) / all,
                      static_cast<double>(outcome.calls) / all, time(outcome.quantile(0.5)).c_str(),
                      time(outcome.quantile(0.99)).c_str(), servers(outcome, 1e6).c_str(),
                      servers(outcome, 1e7).c_str(), servers(outcome, 1e8).c_str());
        out << line;
    }
    return out.str();
}

void write_chart(const std::string& file, const World& world, const std::vector<Row>& rows) {
    Chart::Plot asked{"Decisions that Redis makes, for each decision of the service (2 ms network)",
                      {},
                      0,
                      1,
                      {{0, "0"}, {0.5, "0.5"}, {1, "1"}}};
    Chart::Plot hot{"Admitted of the hot key in each second, of its limit", {}, 0, 2, {{0, "0"}, {1, "1"}, {2, "2"}}};
    for (const auto& row : rows) {
        Chart::Line asks{row.name, row.colour, {}}, admits{row.name, row.colour, {}};
        for (std::size_t i = 0; i + 1 < row.outcome.seconds.size(); ++i) {
            const auto& second = row.outcome.seconds[i];
            asks.values.push_back(second.asked / second.decisions);
            admits.values.push_back(second.hot_admitted / static_cast<double>(Limits{world}.hot.limit()));
        }
        if (row.name != "share only" && row.name != "plain") asked.lines.push_back(asks);
        hot.lines.push_back(admits);
    }
    std::ofstream out{file};
    const auto seconds = [](nanoseconds time) { return static_cast<double>(time / 1s); };
    Chart{seconds(world.length), seconds(world.lost_from), seconds(world.lost_until)}.write(out, {asked, hot});
}

constexpr const char* about = R"(# Simulation

What the layers do at a scale that no test machine has. `benchmarks/run simulate --docs docs` writes this page and its chart.

![Decisions by Redis and what is admitted, second by second](simulation.svg)

The library itself decides: its policy, its memory store as a shard's state, `Fallback`, `Share`, `DenialCache` and `Lease`, all
on a simulated clock. A model stands for what is between them: the network; a shard that works off its calls one after the
other; a client with three connections for each shard, which puts what waits into one call; a time limit of 200 ms and a
breaker that lets a probe through each second. Each way stands before the same `Fallback` to each instance's share. What is
asked of a shard is counted there at once, and a lease that a request takes is there for the next one at once; only who asked
waits. The background's leases arrive a round trip after they were asked for.

"Servers" are Redis processes that are busy for 60 % of the time, for as many more such instances as make the load. One key
is on one server whatever their number, which is what leases are for.

)";

constexpr const char* reading = R"(
What can be read from it:

- `plain`: one call for each decision is more than the hot key's shard can do at noon. Calls exceed their time limit, and the
  shares behind admit up to the limit once more, which is `Fallback`'s bound. Calls that carry several decisions end that.
- The worst second of the others is the one in which the shard is back, of which some instances learn up to a second later
  than others. While no shard is lost nothing exceeds a window's limit, leased or not: that bound is met exactly, and is the
  tightest of all.
- A denial cache spares decisions about keys that are used up, a lease those about keys that are busy in one instance; what is
  left are keys of which an instance sees less than about 60 requests a second.
- Shares alone ask nobody, and admit less: an instance that gets more than its part of a key denies what others do not use.
)";

}  // namespace

int main(int argc, char* argv[]) {
    World world;
    std::string folder;
    for (int i = 1; i < argc; ++i) {
        const std::string option = argv[i];
        const auto value = [&] { return i + 1 < argc ? std::atof(argv[++i]) : 0.0; };
        if (option == "--quick") {
            world.peak = 2e5;
            world.instances = 200;
        } else if (option == "--alone-us") {
            world.alone_us = value();
        } else if (option == "--batched-us") {
            world.batched_us = value();
        } else if (option == "--docs" && i + 1 < argc) {
            folder = argv[++i];
        } else {
            std::fprintf(stderr, "unknown option: %s\n", option.c_str());
            return 2;
        }
    }
    std::ostringstream text;
    text << "Simulated: " << world.instances << " instances, " << world.shards << " shards, " << world.keys
         << " keys by Zipf's law of which each may have 1,000 a second, and a hot one (30 % of the decisions, 45 % in "
            "the "
            "evening) with a limit of 200,000 a second, "
         << static_cast<long long>(world.peak)
         << " decisions a second at noon and half as many at night, a day in 24 seconds; the hot key's shard is "
            "away from second 8 to 18. A shard spends "
         << world.alone_us << " us on a call with one decision and " << world.batched_us
         << " us on each further one of the same call, as measured by `benchmarks/run redis` on " << support::machine()
         << "; a decision in process takes " << world.local_us << " us.\n";
    const Keys keys{world};
    std::vector<Row> first;
    for (const auto network : {2ms, 50ms}) {
        world.network = network;
        std::fprintf(stderr, "network %d ms:", static_cast<int>(network.count()));
        const auto rows = simulate_all(world, keys);
        text << "\nNetwork: " << network.count() << " ms there and back.\n\n" << table(rows);
        if (first.empty()) first = rows;
    }
    std::fputs(text.str().c_str(), stdout);
    if (!folder.empty()) {
        write_chart(folder + "/simulation.svg", world, first);
        std::ofstream{folder + "/simulation.md"} << about << text.str() << reading;
    }
}
