// SPDX-License-Identifier: MIT

#include <chrono>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include <unistd.h>

#include <sluice/redis.hpp>
#include <sluice/sluice.hpp>
#include <sluice/tls.hpp>

#include "support/catch.hpp"
#include "support/certificates.hpp"
#include "support/process.hpp"
#include "support/redis_server.hpp"

using namespace std::chrono_literals;
using sluice::Errc;
using sluice::Tls;

namespace {

using Limiter = sluice::RateLimiter<sluice::TokenBucket, sluice::RedisStore>;

Limiter limiter_on(const std::string& url, Tls tls) {
    return Limiter{sluice::TokenBucket{1'000, sluice::per_hour(1)},
                   sluice::RedisStore{url, {.timeout = 5s, .tls = std::move(tls)}},
                   {.name = "tls", .on_failure = sluice::FailureMode::allow}};
}

/// A server and what a client has to know of it. The server changes its certificate while it runs.
struct SecureServer {
    Certificates files;
    int port = RedisServer::free_port();
    RedisServer server{files.options(port)};

    std::string url(const std::string& host = "127.0.0.1") const {
        return "rediss://" + host + ":" + std::to_string(port);
    }
    Tls tls() const { return {.ca_file = files.ca()}; }
    Tls tls_with(const std::string& name) const {
        return {.ca_file = files.ca(),
                .certificate_file = files.file(name + ".pem"),
                .key_file = files.file(name + ".key")};
    }
    void use(const std::string& name) const {
        REQUIRE(server.command({"CONFIG", "SET", "tls-cert-file", files.file(name + ".pem"), "tls-key-file",
                                files.file(name + ".key")}) == "OK");
    }
    std::error_code outcome(const Tls& tls, const std::string& host = "127.0.0.1") const {
        const Limiter limiter = limiter_on(url(host), tls);
        const auto decision = limiter.try_consume("key");
        CHECK(decision.allowed == (decision.error != Errc::misconfigured));
        CHECK(limiter.store().ping(5s) == decision.error);
        return decision.error;
    }
};

}  // namespace

TEST_CASE("TLS and the URL belong together") {
    const auto refusal = [](const char* url, sluice::RedisOptions options) -> std::string {
        try {
            sluice::RedisStore{url, std::move(options)};
        } catch (const std::invalid_argument& error) {
            return error.what();
        }
        return {};
    };
    CHECK(refusal("rediss://:hunter2@h", {}).find("#include") == std::string::npos);
    CHECK(refusal("rediss://:hunter2@h", {}).find("<sluice/tls.hpp>") != std::string::npos);
    CHECK(refusal("rediss://:hunter2@h", {}).find("hunter2") == std::string::npos);
    CHECK(refusal("redis://h", {.tls = Tls{}}).find("rediss") != std::string::npos);
    CHECK(refusal("rediss://h", {.tls = Tls{}}).empty());
    CHECK_THROWS_WITH((sluice::RedisStore{"rediss://h", {.tls = Tls{.ca_file = "/nonexistent.pem"}}}),
                      contains_text("/nonexistent.pem") && contains_text("No such file"));
}

TEST_CASE("decisions over TLS, and certificates that are not good") {
    const SecureServer secure;
    CHECK_FALSE(secure.outcome(secure.tls()));
    CHECK_FALSE(secure.outcome(secure.tls(), "localhost"));
    const Limiter limiter = limiter_on(secure.url(), secure.tls());
    std::vector<std::string_view> keys(500, "many");
    std::vector<sluice::Decision> decisions(keys.size());
    limiter.try_consume_many(keys, decisions);
    CHECK(decisions.back().remaining == 500);
    CHECK(limiter.store().stats().failures == 0);
    CHECK(limiter.store().stats().dials == 1);

    CHECK(secure.outcome({}) == Errc::certificate_untrusted);
    CHECK_FALSE(secure.outcome({.dangerously_skip_verification = true}));
    secure.use("expired");
    CHECK(secure.outcome(secure.tls()) == Errc::certificate_expired);
    secure.use("elsewhere");
    CHECK(secure.outcome(secure.tls()) == Errc::certificate_mismatch);
    CHECK_FALSE(secure.outcome({.ca_file = secure.files.ca(), .server_name = "elsewhere.test"}));
    secure.use("stranger");
    CHECK(secure.outcome(secure.tls()) == Errc::certificate_untrusted);
    CHECK_FALSE(limiter.try_consume("many").error);  // on the connection that it has
    secure.use("server");

    REQUIRE(secure.server.command({"CONFIG", "SET", "tls-auth-clients", "yes"}) == "OK");
    CHECK(secure.outcome(secure.tls()) == Errc::authentication);
    CHECK(secure.outcome(secure.tls_with("stranger")) == Errc::authentication);
    CHECK_FALSE(secure.outcome(secure.tls_with("client")));
}

TEST_CASE("TLS on one side alone") {
    const SecureServer secure;
    const auto ask = [](const std::string& url, const sluice::RedisOptions& options) {
        const Limiter limiter{sluice::TokenBucket{1'000, sluice::per_hour(1)}, sluice::RedisStore{url, options}};
        return limiter.try_consume("key").error;
    };
    const auto plain = ask("redis://127.0.0.1:" + std::to_string(secure.port), {.timeout = 10s});
    CHECK((plain == Errc::misconfigured || plain == Errc::disconnected));  // whether it says why it closes
    // A server without TLS takes the beginning of a handshake for half a line of text.
    CHECK(ask("rediss://127.0.0.1:" + std::to_string(secure.server.port()), {.timeout = 200ms, .tls = secure.tls()}) ==
          Errc::timeout);
}

TEST_CASE("a password over TLS") {
    const SecureServer secure;
    REQUIRE(secure.server.command({"CONFIG", "SET", "requirepass", "secret"}) == "OK");
    const auto url = [&](const std::string& who) {
        return "rediss://" + who + "127.0.0.1:" + std::to_string(secure.port) + "/3";
    };
    CHECK_FALSE(limiter_on(url(":secret@"), secure.tls()).try_consume("key").error);
    CHECK(limiter_on(url(":wrong@"), secure.tls()).try_consume("key").error == Errc::authentication);
    CHECK(limiter_on(url(""), secure.tls()).try_consume("key").error == Errc::authentication);
}

TEST_CASE("a forked child shakes hands anew") {
    const SecureServer secure;
    const Limiter limiter = limiter_on(secure.url(), secure.tls());
    CHECK(limiter.try_consume("key").remaining == 999);
    for (int i = 0; i != 3; ++i) {
        const pid_t child = ::fork();
        if (child == 0) {
            ::alarm(30);
            ::_exit(limiter.try_consume("key").error ? 1 : 0);
        }
        CHECK(status_of(child) == 0);
    }
    CHECK(limiter.try_consume("key").remaining == 995);
    CHECK(limiter.store().stats().dials == 1);
}

TEST_CASE("a connection that the server closed while it was idle is dialled anew") {
    const SecureServer secure;
    const Limiter limiter = limiter_on(secure.url(), secure.tls());
    for (int i = 0; i != 3; ++i) {
        CHECK_FALSE(limiter.try_consume("key").error);
        std::this_thread::sleep_for(10ms);
        CHECK_FALSE(limiter.try_consume("key").error);
        CHECK(secure.server.command({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"}) == "1");
        std::this_thread::sleep_for(10ms);
    }
    CHECK(limiter.store().stats().dials == 3);
    CHECK(limiter.store().stats().failures == 0);
}
