// SPDX-License-Identifier: MIT

#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <sluice/layers/fallback.hpp>
#include <sluice/sluice.hpp>

#include "support/catch.hpp"
#include "support/failing_store.hpp"
#include "support/random.hpp"
#include "support/threads.hpp"

using namespace std::chrono_literals;
using sluice::Charge;
using sluice::Decision;
using sluice::Errc;
using sluice::RateLimiter;
using Bucket = sluice::TokenBucket;
using Fixed = sluice::FixedWindow;

namespace {

template <class P>
using Memory = sluice::MemoryStore<P, sluice::ManualClock>;

/// A server with states of two kinds, which takes requests together and counts round trips.
class Server {
public:
    struct Shared {
        Memory<Bucket> buckets;
        Memory<Fixed> windows;
        int trips = 0;
        Errc failing{};

        const auto& of(const Bucket&) const { return buckets; }
        const auto& of(const Fixed&) const { return windows; }
    };

    class Pipeline {
    public:
        explicit Pipeline(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}
        template <sluice::Policy P>
        void add(const sluice::Request<P>& request, sluice::Consumption& out) {
            added_.push_back([shared = shared_.get(), request, &out] { out = consume(*shared, request); });
        }
        void run() noexcept {
            ++shared_->trips;
            for (const auto& one : added_) one();
        }

    private:
        std::shared_ptr<Shared> shared_;
        std::vector<std::function<void()>> added_;
    };

    explicit Server(const sluice::ManualClock& clock)
        : shared_(std::make_shared<Shared>(Shared{Memory<Bucket>{{}, clock}, Memory<Fixed>{{}, clock}})) {}

    template <sluice::Policy P>
    Decision decide(const sluice::Request<P>& request) const noexcept {
        return consume(request).decision;
    }
    template <sluice::Policy P>
    sluice::Consumption consume(const sluice::Request<P>& request) const noexcept {
        ++shared_->trips;
        return consume(*shared_, request);
    }
    Pipeline pipeline() const { return Pipeline{shared_}; }
    template <sluice::Policy P>
    void add(Pipeline& pipeline, const sluice::Request<P>& request, sluice::Consumption& out) const {
        pipeline.add(request, out);
    }
    template <sluice::Policy P>
    void finish(const sluice::Request<P>&, sluice::Consumption&) const noexcept {}
    const void* pipeline_id() const noexcept { return shared_.get(); }

    int trips() const { return std::exchange(shared_->trips, 0); }
    void fail(Errc error) const { shared_->failing = error; }

private:
    template <sluice::Policy P>
    static sluice::Consumption consume(const Shared& shared, const sluice::Request<P>& request) noexcept {
        sluice::Consumption done;
        if (shared.failing != Errc{}) {
            done.decision = sluice::failure(shared.failing);
            return done;
        }
        const auto& store = shared.of(request.scope.policy);
        const bool takes =
            request.operation == sluice::Operation::consume || request.operation == sluice::Operation::take;
        if (takes) return store.consume(request);
        done.decision = store.decide(request);
        return done;
    }

    std::shared_ptr<Shared> shared_;
};

}  // namespace

TEST_CASE("all charges are consumed, or none") {
    const sluice::ManualClock clock;
    const RateLimiter bucket{Bucket{5, sluice::per_second(1)}, Memory<Bucket>{{}, clock}};
    const RateLimiter window{Fixed{3, 10s}, Memory<Fixed>{{}, clock}};
    const sluice::AnyLimiter erased{window};
    std::array<Decision, 2> out;
    const std::array charges{Charge{bucket, "key", 2}, Charge{erased, "key"}};
    CHECK(sluice::try_consume_all(charges, out));
    CHECK(out[0].allowed);
    CHECK(out[0].remaining == 3);
    CHECK(out[1].remaining == 2);

    const std::array too_many{Charge{bucket, "key", 2}, Charge{window, "key", 3}};
    CHECK_FALSE(sluice::try_consume_all(too_many, out));
    CHECK_FALSE(out[0].allowed);
    CHECK(out[0].retry_after == 0s);
    CHECK(out[0].remaining == 3);
    CHECK_FALSE(out[1].allowed);
    CHECK(out[1].retry_after == 10s);
    CHECK(bucket.peek("key").remaining == 3);
    CHECK(window.peek("key").remaining == 2);

    const std::array first_denies{Charge{bucket, "key", 4}, Charge{window, "key", 1}};
    CHECK_FALSE(sluice::try_consume_all(first_denies, out));
    CHECK(out[0].retry_after == 1s);
    CHECK_FALSE(out[1].allowed);
    CHECK(out[1].remaining == 2);  // peeked
    CHECK_FALSE(out[1].error);
}

TEST_CASE("a key that comes twice is charged twice") {
    const sluice::ManualClock clock;
    const RateLimiter bucket{Bucket{5, sluice::per_second(1)}, Memory<Bucket>{{}, clock}};
    std::array<Decision, 3> out;
    const std::array charges{Charge{bucket, "a", 2}, Charge{bucket, "b", 5}, Charge{bucket, "a", 3}};
    CHECK(sluice::try_consume_all(charges, out));
    CHECK(out[2].remaining == 0);
    clock.advance(4s);
    CHECK_FALSE(sluice::try_consume_all(charges, out));
    CHECK(bucket.peek("a").remaining == 4);
    CHECK(bucket.peek("b").remaining == 4);
    const Server server{clock};
    const RateLimiter remote{Bucket{5, sluice::per_second(1)}, server};
    const std::array both{Charge{remote, "a", 3}, Charge{remote, "a", 3}};
    CHECK_FALSE(sluice::try_consume_all(both, std::span{out}.first(2)));
    CHECK(remote.peek("a").remaining == 5);
}

TEST_CASE("charges that share a server take one round trip, and one more where any denies") {
    const sluice::ManualClock clock;
    const Server server{clock};
    const Server other{clock};
    const RateLimiter burst{Bucket{5, sluice::per_second(1)}, server, {.name = "burst"}};
    const RateLimiter day{Fixed{100, 24h}, server, {.name = "day"}};
    const RateLimiter user{Bucket{4, sluice::per_second(1)}, server, {.name = "user"}};
    const RateLimiter elsewhere{Bucket{2, sluice::per_second(1)}, other};
    const RateLimiter here{Fixed{3, 10s}, Memory<Fixed>{{}, clock}};
    std::array<Decision, 5> out;
    const std::array charges{Charge{burst, "key"}, Charge{here, "key"}, Charge{day, "all"}, Charge{elsewhere, "key"},
                             Charge{user, "user:7"}};
    CHECK(sluice::try_consume_all(charges, out));
    CHECK(server.trips() == 1);
    CHECK(other.trips() == 1);
    CHECK(out[2].remaining == 99);
    CHECK(out[4].remaining == 3);

    CHECK(sluice::try_consume_all(charges, out));
    CHECK(server.trips() + other.trips() == 2);
    CHECK_FALSE(sluice::try_consume_all(charges, out));  // elsewhere has no more
    CHECK(server.trips() == 2);
    CHECK(other.trips() == 1);
    CHECK(out[3].retry_after == 1s);
    CHECK(out[0].remaining == 3);
    CHECK(burst.peek("key").remaining == 3);
    CHECK(day.peek("all").remaining == 98);
    CHECK(here.peek("key").remaining == 1);

    CHECK(here.try_consume("key"));
    static_cast<void>(server.trips());
    CHECK_FALSE(sluice::try_consume_all(charges, out));  // denied in this process: no round trip
    CHECK(server.trips() + other.trips() == 0);
    CHECK(out[0].error == Errc::cancelled);
    CHECK(out[0].limit == 5);
    CHECK_FALSE(out[1].error);
}

TEST_CASE("a failed store counts as the failure mode says, and is not charged") {
    const sluice::ManualClock clock;
    const Server server{clock};
    const RateLimiter open{Bucket{5, sluice::per_second(1)}, server, {.name = "open"}};
    const RateLimiter closed{
        Bucket{5, sluice::per_second(1)}, server, {.name = "closed", .on_failure = sluice::FailureMode::deny}};
    const RateLimiter here{Fixed{3, 10s}, Memory<Fixed>{{}, clock}};
    std::array<Decision, 2> out;
    server.fail(Errc::timeout);
    CHECK(sluice::try_consume_all(std::array{Charge{open, "key"}, Charge{here, "key"}}, out));
    CHECK(out[0].error == Errc::timeout);
    CHECK_FALSE(sluice::try_consume_all(std::array{Charge{closed, "key"}, Charge{here, "key"}}, out));
    CHECK(out[0].error == Errc::timeout);
    CHECK(here.peek("key").remaining == 2);
    server.fail(Errc{});
    CHECK(open.peek("key").remaining == 5);
}

TEST_CASE("limits with a fallback of their own share their primary's round trip") {
    const sluice::ManualClock clock;
    const Server server{clock};
    const auto with_fallback = [&](const auto& policy, const char* name, const auto& memory) {
        return RateLimiter{policy, sluice::Fallback{server, memory}, {.name = name}};
    };
    const Memory<Bucket> buckets{{}, clock};
    const Memory<Fixed> windows{{}, clock};
    const auto burst = with_fallback(Bucket{5, sluice::per_second(1)}, "burst", buckets);
    const auto day = with_fallback(Fixed{6, 24h}, "day", windows);
    const RateLimiter plain{Bucket{5, sluice::per_second(1)}, server, {.name = "plain"}};
    std::array<Decision, 3> out;
    const std::array charges{Charge{burst, "key", 2}, Charge{day, "key", 2}, Charge{plain, "key"}};
    CHECK(sluice::try_consume_all(charges, out));
    CHECK(server.trips() == 1);
    CHECK(out[1].remaining == 4);

    server.fail(Errc::timeout);
    CHECK(sluice::try_consume_all(charges, out));
    CHECK(server.trips() == 1);
    CHECK(out[0].error == Errc::degraded);
    CHECK(out[1].remaining == 4);
    CHECK(out[2].error == Errc::timeout);  // allowed by the failure mode
    const std::array too_many{Charge{burst, "key", 2}, Charge{day, "key", 5}};
    CHECK_FALSE(sluice::try_consume_all(too_many, std::span{out}.first(2)));
    CHECK(out[0].error == Errc::degraded);
    CHECK(burst.peek("key").remaining == 3);  // of the secondary, where it was taken
    server.fail(Errc{});
    CHECK(burst.peek("key").remaining == 3);
    static_cast<void>(server.trips());
    CHECK_FALSE(sluice::try_consume_all(too_many, std::span{out}.first(2)));
    CHECK(server.trips() == 2);
    CHECK(burst.peek("key").remaining == 3);
    CHECK(day.peek("key").remaining == 4);
}

TEST_CASE("what cannot be meant charges nothing") {
    const sluice::ManualClock clock;
    const RateLimiter bucket{Bucket{5, sluice::per_second(1)}, Memory<Bucket>{{}, clock}};
    std::vector<Decision> out(2);
    CHECK_FALSE(sluice::try_consume_all(std::array{Charge{bucket, "key"}}, out));
    CHECK(out[1].error == Errc::invalid_argument);
    CHECK_FALSE(sluice::try_consume_all(std::array{Charge{bucket, "key"}, Charge{bucket, "key", -1}}, out));
    CHECK(out[0].error == Errc::invalid_argument);
    CHECK(bucket.peek("key").remaining == 5);
    CHECK(sluice::try_consume_all({}, {}));
    CHECK(sluice::try_consume_all(std::array{Charge{bucket, "key", 0}, Charge{bucket, "key", 5}}, out));
    STATIC_REQUIRE_FALSE(std::is_constructible_v<Charge, sluice::AnyLimiter, const char*>);
    STATIC_REQUIRE_FALSE(std::is_constructible_v<Charge, RateLimiter<Bucket, Memory<Bucket>>, const char*>);

    std::vector<Charge> many(20, Charge{bucket, "many"});
    out.resize(20);
    CHECK_FALSE(sluice::try_consume_all(many, out));
    CHECK(bucket.peek("many").remaining == 5);
}

TEST_CASE("an observer hears what became of each charge") {
    struct Counter final : sluice::Observer {
        void on_decision(const sluice::DecisionEvent& event) override {
            (event.decision.allowed ? allowed : denied) += 1;
        }
        int allowed = 0, denied = 0;
    };
    const auto counter = std::make_shared<Counter>();
    const sluice::ManualClock clock;
    const RateLimiter one{Bucket{1, sluice::per_second(1)}, Memory<Bucket>{{}, clock}, {.observer = counter}};
    const RateLimiter two{Fixed{5, 10s}, Memory<Fixed>{{}, clock}, {.observer = counter}};
    std::array<Decision, 2> out;
    const std::array charges{Charge{two, "key"}, Charge{one, "key"}};
    CHECK(sluice::try_consume_all(charges, out));
    CHECK(counter->allowed == 2);
    CHECK_FALSE(sluice::try_consume_all(charges, out));
    CHECK(counter->allowed == 2);
    CHECK(counter->denied == 2);
}

TEST_CASE("under concurrency no limit admits more than it has") {
    const sluice::ManualClock clock;
    const RateLimiter bucket{Bucket{1'000, sluice::per_second(1)}, Memory<Bucket>{{}, clock}};
    const RateLimiter window{Fixed{700, 10s}, Memory<Fixed>{{}, clock}};
    const RateLimiter log{sluice::SlidingWindow{800, 10s}, Memory<sluice::SlidingWindow>{{}, clock}};
    std::atomic<std::uint64_t> admitted{0};
    run_threads(4, [&](int thread) {
        std::array<Decision, 3> out;
        std::uint64_t mine = 0;
        for (int i = 0; i != 400; ++i) {
            std::array charges{Charge{bucket, "key"}, Charge{window, "key"}, Charge{log, "key"}};
            if (thread % 2 == 0) std::swap(charges[0], charges[2]);
            mine += sluice::try_consume_all(charges, out) ? 1U : 0U;
        }
        admitted += mine;
    });
    CHECK(admitted <= 700);
    CHECK(admitted >= 690);  // the last ones may be denied for what goes back
    CHECK(bucket.peek("key").remaining == 1'000 - admitted);
    CHECK(window.peek("key").remaining == 700 - admitted);
    CHECK(log.peek("key").remaining == 800 - admitted);
}
