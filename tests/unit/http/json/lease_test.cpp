// SPDX-License-Identifier: MIT
#include "support/catch.hpp"

#include <atomic>
#include <memory>
#include <string>

#include <sluice/http/json/rules.hpp>
#include <sluice/metrics/registry.hpp>
#include <sluice/sluice.hpp>

using namespace sluice::http;

namespace {

/// Gives whatever it is asked for, and counts how often that is.
struct GenerousStore {
    std::shared_ptr<std::atomic<int>> calls = std::make_shared<std::atomic<int>>(0);

    template <sluice::Policy P>
    sluice::Decision decide(const sluice::Request<P>& request) const noexcept {
        return consume(request).decision;
    }
    template <sluice::Policy P>
    sluice::Consumption consume(const sluice::Request<P>& request) const noexcept {
        ++*calls;
        sluice::Consumption taken;
        taken.units = request.units;
        taken.decision.allowed = true;
        taken.decision.limit = taken.decision.remaining = 1'000'000;
        return taken;
    }
};

std::string rules(const std::string& policy, const std::string& lease) {
    return R"({"rules": [{"name": "r", "routes": ["/a"], "limits": [{"name": "l", "lease": )" + lease +
           R"(, "policy": )" + policy + "}]}]}";
}
const std::string bucket = R"({"kind": "token_bucket", "capacity": 1000000, "refill": "1/s"})";
const std::string exact_log = R"({"kind": "sliding_window", "limit": 5, "window": "1h"})";

int calls_for_a_thousand(const std::string& text) {
    const GenerousStore store;
    const auto set = parse_rules(text, "f", limiters_in(store));
    const auto& limiter = set.rules()[0].tiers[0].limits[0].limiter;
    for (int i = 0; i != 1'000; ++i) CHECK(limiter.try_consume("key"));
    return *store.calls;
}

}  // namespace

TEST_CASE("a limit that says so is leased", "[http][json]") {
    CHECK(calls_for_a_thousand(rules(bucket, "true")) < 500);
    CHECK(calls_for_a_thousand(rules(bucket, "false")) == 1'000);
}

TEST_CASE("a limit that cannot be leased is refused where that matters", "[http][json]") {
    CHECK_THROWS_WITH(parse_rules(rules(exact_log, "true"), "f", limiters_in(GenerousStore{})),
                      contains_text("sliding_window") && contains_text("/rules/0/limits/0/lease"));
    CHECK_NOTHROW(parse_rules(rules(exact_log, "false"), "f", limiters_in(GenerousStore{})));
    CHECK_NOTHROW(parse_rules(rules(exact_log, "true"), "f", MemoryLimiters{}));  // in process anyway
    CHECK_NOTHROW(parse_rules(rules(bucket, "true"), "f", limiters_in(GenerousStore{}, MemoryLimiters{}, 4)));
}

TEST_CASE("metrics tell what layers do", "[metrics]") {
    sluice::metrics::Registry registry;
    registry.add_store("lease", sluice::Lease{GenerousStore{}});
    registry.add_store("denials", sluice::DenialCache{GenerousStore{}});
    const auto text = registry.prometheus();
    for (const char* line :
         {"sluice_store_hits_total{store=\"lease\"} 0\n", "sluice_store_leases_total{store=\"lease\"} 0\n",
          "sluice_store_held{store=\"lease\"} 0\n", "sluice_store_returned_total{store=\"lease\"} 0\n",
          "sluice_store_stranded_total{store=\"lease\"} 0\n", "sluice_store_hits_total{store=\"denials\"} 0\n",
          "sluice_store_remembered_total{store=\"denials\"} 0\n"}) {
        INFO(line);
        CHECK(text.find(line) != std::string::npos);
    }
}
