// SPDX-License-Identifier: MIT
// Makes so many decisions on one hot key, all allowed (W1), for a tool that counts instructions.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "memory/contenders.hpp"

int main(int argc, char** argv) {
    const std::string_view wanted = argc == 3 ? argv[1] : "";
    bool known = false;
    std::uint64_t sum = 0;
    memory::for_each_contender([&](auto kind) {
        if (argc != 3) std::puts(kind.name);
        if (wanted != kind.name) return;
        known = true;
        const auto contender = kind({1'000'000'000, 1'000'000'000});
        const volatile std::size_t size = 12;
        for (long n = std::atol(argv[2]); n > 0; --n) {
            const auto decision = contender->try_consume(std::string_view{"user:0000123", size});
            sum += decision.limit + decision.remaining + static_cast<std::uint64_t>(decision.retry_after.count()) +
                   static_cast<std::uint64_t>(decision.reset_after.count()) + (decision.allowed ? 1 : 0);
        }
    });
    const volatile std::uint64_t used = sum;
    static_cast<void>(used);
    return known || argc != 3 ? 0 : 2;
}
