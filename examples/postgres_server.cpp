// SPDX-License-Identifier: MIT
//
// A server of which any number may run: all share the limits, whose states are in Postgres.
//
//     postgres_server "host=127.0.0.1 dbname=app" [PORT]
#include <stdexcept>
#include <string>

#include <httplib.h>

#include <sluice/http/httplib.hpp>
#include <sluice/postgres.hpp>
#include <sluice/sluice.hpp>

#include "support/api_server.hpp"

namespace {

sluice::http::Guard make_guard(const std::string& connection) {
    const sluice::PostgresStore postgres{connection};
    // Any number of instances may do so at once. Where the user may not create tables: run schema_sql() by hand.
    if (const auto error = postgres.ensure_schema()) throw std::runtime_error{"no schema: " + error.message()};
    const sluice::RateLimiter limiter{sluice::TokenBucket{10, sluice::per_second(1)}, postgres, {.name = "api"}};

    sluice::http::Rule rule;
    rule.name = "api";
    rule.routes = {sluice::http::RoutePattern{"/api/*"}};
    rule.tiers = {{.limits = {{.limiter = limiter}}}};
    return sluice::http::Guard{sluice::http::RuleSet{{rule}}};
}

}  // namespace

int main(int argc, char* argv[]) {
    return run_api_server(argc, argv, "CONNECTION", [](httplib::Server& server, const std::string& connection) {
        sluice::http::install(server, make_guard(connection));
    });
}
