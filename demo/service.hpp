// SPDX-License-Identifier: MIT
#ifndef SLUICE_DEMO_SERVICE_HPP
#define SLUICE_DEMO_SERVICE_HPP

#include <array>
#include <cstdint>
#include <iostream>
#include <string>
#include <string_view>
#include <utility>

#include <signal.h>

#include <nlohmann/json.hpp>

#include <sluice/http/denial_log.hpp>
#include <sluice/http/guard.hpp>
#include <sluice/http/json/rules.hpp>
#include <sluice/metrics/registry.hpp>
#include <sluice/sluice.hpp>
#ifdef DEMO_HAS_REDIS
#include <sluice/redis.hpp>
#endif

#include "demo/options.hpp"
#include "page.hpp"
#include "readme.hpp"
#include "rules.hpp"

// What the example servers share: the rules, the routes' answers, who the clients are. A server adds its framework.
namespace demo {

struct Route {
    std::string_view path, answer;
};

inline constexpr std::array<Route, 5> routes{{
    {"/free", R"({"data":"without a limit"})"},
    {"/api/data", R"({"data":"ten requests at once, then one per second"})"},
    {"/api/strict", R"({"data":"three at once, then one in five seconds, and six in any minute"})"},
    {"/api/expensive", R"({"data":"twenty units, two more each second, five for each request"})"},
    {"/api/tiers", R"({"data":"as much as your API key is worth"})"},
}};
inline constexpr std::string_view login_answer = R"({"error":"wrong password"})";

/// What the page may do: nothing but run its own script and ask this server.
inline constexpr const char* page_policy =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Who sends a request: only keys that we have given out count, or each invented one would be a fresh bucket.
inline sluice::http::Caller caller_of(const std::string& api_key) {
    if (api_key == "demo-gold") return {.user = "grace", .api_key = api_key, .plan = "gold"};
    if (api_key == "demo-silver") return {.user = "sam", .api_key = api_key};
    return {};
}

class Service {
public:
    /// Throws where the rules file or the store's URL cannot be used. `make` is a server's own way to the store, if it has one.
    explicit Service(const Options& options, sluice::http::LimiterFactory make = {})
        : rules_file_(options.rules), make_(make ? std::move(make) : factory(options.store)),
          guard_(read_rules(), guard_options()) {}

    Service(const Service&) = delete;
    Service& operator=(const Service&) = delete;

    const sluice::http::Guard& guard() const { return guard_; }
    std::string metrics() const { return registry_.prometheus(); }
    /// The keys that were denied most often, as JSON. In a real service for operators alone: keys may be personal data.
    std::string debug() const {
        auto denied = nlohmann::json::array();
        for (const auto& [limiter, key, count, error] : registry_.denied_keys()->top(5)) {
            denied.push_back({{"limiter", limiter}, {"key", key}, {"count", count}, {"error", error}});
        }
        return nlohmann::json{{"denied", denied}}.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    }

    /// Reads the rules file again; a bad one is reported and changes nothing.
    void reload() {
        try {
            const auto fresh = guard_.rules().replace(read_rules());
            std::cout << "Rules read again" << std::endl;
            for (const auto& name : fresh) std::cout << "Limit '" << name << "' starts fresh" << std::endl;
        } catch (const std::exception& error) {
            std::cerr << "The rules stay as they are: " << error.what() << std::endl;
        }
    }

private:
    sluice::http::LimiterFactory factory(const std::string& store) {
        if (store == "memory") return sluice::http::MemoryLimiters{{}, &registry_};
#ifdef DEMO_HAS_REDIS
        constexpr std::string_view lease = "lease+";
        if (!store.starts_with(lease)) return sluice::http::limiters_in(sluice::RedisStore{store});
        // Leases whatever can be leased, whether the rules say so or not.
        return [limiters = sluice::http::limiters_in(sluice::RedisStore{store.substr(lease.size())})](
                   const sluice::http::AnyPolicy& policy, sluice::LimiterOptions options) {
            const bool can_be = std::visit([]<class P>(const P&) { return sluice::LeasablePolicy<P>; }, policy);
            return can_be ? limiters.leased(policy, std::move(options)) : limiters(policy, std::move(options));
        };
#else
        throw std::invalid_argument("built without Redis, so --store must be memory, not " + store);
#endif
    }
    sluice::http::RuleSet read_rules() {
        if (!registry_.denied_keys()) registry_.track_denied_keys();
        if (rules_file_.empty()) return sluice::http::parse_rules(rules, "rules.json", make_, &registry_);
        return sluice::http::load_rules(rules_file_, make_, &registry_);
    }
    static sluice::http::GuardOptions guard_options() {
        sluice::http::GuardOptions options;
        options.headers.style = sluice::http::HeaderStyle::both;
        options.body = sluice::http::BodyStyle::plain;
        options.on_denied = sluice::http::DenialLog{[](const sluice::http::Denial& denial, std::uint64_t unlogged) {
            std::clog << "denied by " << denial.verdict.rule()->name << ": " << denial.method << ' ' << denial.path
                      << " from "
                      << (denial.caller.address ? std::string_view{denial.caller.address->text()} : "unknown")
                      << " (and " << unlogged << " more)" << std::endl;
        }};
        return options;
    }

    sluice::metrics::Registry registry_;
    std::string rules_file_;
    sluice::http::LimiterFactory make_;
    sluice::http::Guard guard_;
};

/// Keeps the signals that stop or reload a server for wait_until_stopped. To be called before any thread is started.
inline sigset_t hold_signals() {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, signal);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    return signals;
}

/// Returns at SIGINT or SIGTERM; SIGHUP reads the rules again.
inline void wait_until_stopped(const sigset_t& signals, Service& service) {
    for (int signal = 0; sigwait(&signals, &signal) == 0 && signal == SIGHUP;) service.reload();
    std::cout << "Stopping" << std::endl;
}

/// For `main`: runs serve(options), and says in one line what went wrong.
template <class Serve>
int run(int argc, char* argv[], Serve serve) {
    try {
        return serve(Options::parse(argc, argv));
    } catch (const std::exception& error) {
        std::cerr << argv[0] << ": " << error.what() << '\n';
        return 1;
    }
}

}  // namespace demo

#endif
