// SPDX-License-Identifier: MIT
// Makes so many decisions of one kind, for a tool that counts instructions. Without arguments: names the kinds. What the
// loop itself takes is that of "loop".
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "memory/contenders.hpp"
#include "memory/keys.hpp"

namespace {

using namespace sluice;
using namespace std::chrono_literals;

constexpr std::size_t known_keys = 65'536;

/// Decides nothing, but the compiler does not know.
struct Loop {
    [[gnu::always_inline]] peers::Decision try_consume(std::string_view key) const {
        peers::Decision decision{};
        std::int64_t retry_ns = 0, reset_ns = 0;
        asm volatile(""
                     : "+r"(decision.limit), "+r"(decision.remaining), "+r"(retry_ns), "+r"(reset_ns)
                     : "r"(key.size()));
        decision.retry_after = std::chrono::nanoseconds{retry_ns};
        decision.reset_after = std::chrono::nanoseconds{reset_ns};
        decision.allowed = decision.limit != 0;
        return decision;
    }
};

class Asker {
public:
    Asker(int argc, char** argv) : wanted_(argc == 3 ? argv[1] : ""), decisions_(argc == 3 ? std::atol(argv[2]) : 0) {}

    /// `make()` makes a contender, which is asked for the keys in turn.
    template <class Make>
    void add(const std::string& name, const memory::Keys& keys, Make make) {
        if (wanted_.empty()) std::puts(name.c_str());
        if (wanted_ != name) return;
        is_known_ = true;
        const auto contender = make();
        memory::Keys::Walk walk{keys, 0};
        std::uint64_t sum = 0;
        for (long n = decisions_; n > 0; --n) {
            const auto decision = contender->try_consume(walk.next());
            sum += decision.limit + decision.remaining + static_cast<std::uint64_t>(decision.retry_after.count()) +
                   static_cast<std::uint64_t>(decision.reset_after.count()) + (decision.allowed ? 1 : 0);
        }
        const volatile std::uint64_t used = sum;
        static_cast<void>(used);
    }
    bool is_well() const { return wanted_.empty() || is_known_; }

private:
    std::string_view wanted_;
    long decisions_;
    bool is_known_ = false;
};

}  // namespace

int main(int argc, char** argv) {
    Asker asker{argc, argv};
    const memory::Keys one{memory::always_one()}, known{memory::each_once(known_keys)},
        once{memory::each_once(12 * known_keys)};
    const TokenBucket fast{1'000'000'000, per_second(1'000'000'000)}, slow{1'000'000, per_second(1)},
        strict{1, per_second(1)}, brief{1'000'000, per_second(1'000'000)};
    const FixedWindow day{1'000'000, 24h};
    const auto limiter = [](const auto& policy, bool wide_fingerprints = false) {
        return [=] {
            return memory::make_limiter(policy, {.max_keys = 3 * known_keys, .wide_fingerprints = wide_fingerprints});
        };
    };

    asker.add("loop", known, [] { return std::make_unique<Loop>(); });
    memory::for_each_peer([&](auto kind) {
        const std::string name = kind.name;
        asker.add(name + " W1", one, [=] { return kind({1'000'000'000, 1'000'000'000}); });
        asker.add(name + " W7", known, [=] { return kind({1'000'000, 1'000'000}); });
        asker.add(name + " W8", once, [=] { return kind({1'000'000, 1'000'000}); });
    });
    asker.add("TokenBucket W1", one, limiter(fast));
    asker.add("TokenBucket W2", known, limiter(slow));
    asker.add("TokenBucket W6", one, limiter(strict));
    asker.add("TokenBucket W7", known, limiter(brief));
    asker.add("TokenBucket W8", once, limiter(brief));
    asker.add("TokenBucket, wide_fingerprints W1", one, limiter(fast, true));
    asker.add("TokenBucket, wide_fingerprints W2", known, limiter(slow, true));
    asker.add("TokenBucket, wide_fingerprints W7", known, limiter(brief, true));
    asker.add("FixedWindow W2", known, limiter(day));
    asker.add("SlidingWindowCounter W2", known, limiter(SlidingWindowCounter{1'000'000, 24h}));
    asker.add("SlidingWindowCounter W6", one, limiter(SlidingWindowCounter{1, 24h}));
    asker.add("AllOf W1", one, limiter(AllOf{fast, FixedWindow{100'000'000, 24h * 10'950}}));
    asker.add("AllOf W2", known, limiter(AllOf{slow, day}));
    asker.add("AllOf W6", one, limiter(AllOf{strict, day}));
    asker.add("AllOf W7", known, limiter(AllOf{brief, FixedWindow{1'000, 1ms}}));
    asker.add("SlidingWindow W2", known, limiter(SlidingWindow{1'000, 24h}));
    asker.add("SlidingWindow W6", one, limiter(SlidingWindow{1, 24h}));
    return asker.is_well() ? 0 : 2;
}
