// SPDX-License-Identifier: MIT
//
// What the Redis store of one revision sends for its decisions:  requests SOCKET NAME FILE
// Uses nothing but the public contract, so that it compiles with the headers of any revision. Decides on the server at
// SOCKET, so that its scripts are loaded there, as a limiter called NAME, and writes the requests to FILE, each as a line
// "<decisions> <bytes> <what it is>" and the bytes.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/redis.hpp>
#include <sluice/sluice.hpp>

#include "tap.hpp"

using namespace std::chrono_literals;

namespace {

class Recorder {
public:
    Recorder(const std::string& socket, std::string name, const std::string& file)
        : name_(std::move(name)), tap_(socket, file + ".sock"), url_("unix://" + file + ".sock"),
          out_(file, std::ios::binary) {}

    template <class P>
    void record(const std::string& policy_name, const P& policy) {
        // Other names for other limits: their keys must not meet.
        const sluice::RateLimiter limiter{
            policy, sluice::RedisStore{url_, {.timeout = 10s, .connections = 1}}, {.name = name_}};
        constexpr std::size_t batch = 32;
        std::vector<std::string> names;
        for (std::size_t i = 0; i != batch; ++i) names.push_back("user:" + std::to_string(100'000 + i));
        const std::vector<std::string_view> different{names.begin(), names.end()};
        const std::vector<std::string_view> same(batch, names[0]);
        std::vector<sluice::Decision> decisions(batch);
        const auto decide = [&](const std::vector<std::string_view>& keys) {
            if (keys.size() == 1) {
                decisions[0] = limiter.try_consume(keys[0]);
            } else {
                limiter.try_consume_many(keys, decisions);
            }
            for (const sluice::Decision& decision : decisions) {
                if (!decision.error) continue;
                std::fprintf(stderr, "a decision failed: %s\n", decision.error.message().c_str());
                std::exit(1);
            }
        };
        const auto write = [&](const std::string& what, const std::vector<std::string_view>& keys) {
            decide(keys);  // connects, and loads the script
            tap_.take();
            decide(keys);
            const std::string sent = tap_.take();
            out_ << keys.size() << ' ' << sent.size() << ' ' << policy_name << what << '\n' << sent;
        };
        write("", {different[0]});
        write(" x 32, one hot key", same);
        write(" x 32, different keys", different);
    }

private:
    std::string name_;
    Tap tap_;
    std::string url_;
    std::ofstream out_;
};

}  // namespace

int main(int argc, char* argv[]) {
    if (argc != 4) {
        std::fputs("Usage: requests SOCKET NAME FILE\n", stderr);
        return 2;
    }
    // Whatever is asked in the time of a benchmark is admitted.
    const sluice::TokenBucket bucket{3'000'000'000, sluice::per_second(1)};
    const sluice::FixedWindow window{500'000'000, 1h};
    const sluice::SlidingWindowCounter counter{500'000'000, 1h};
    Recorder recorder{argv[1], argv[2], argv[3]};
    recorder.record("token bucket", bucket);
    recorder.record("token bucket, 7 per minute", sluice::TokenBucket{30'000'000, sluice::per_minute(7)});
    recorder.record("fixed window", window);
    recorder.record("sliding window counter", counter);
    recorder.record("exact log", sluice::SlidingWindow{100'000, 2ms});
    recorder.record("AllOf token bucket, fixed window", sluice::AllOf{bucket, window});
    recorder.record("AllOf token bucket, counter", sluice::AllOf{bucket, counter});
    return 0;
}
