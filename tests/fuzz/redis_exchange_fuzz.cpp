// SPDX-License-Identifier: MIT

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <sluice/redis/wire/call_set.hpp>
#include <sluice/redis/wire/exchange.hpp>

using sluice::detail::redis::Arguments;
using sluice::detail::redis::CallSet;
using sluice::detail::redis::Exchange;
using sluice::detail::redis::ScriptCall;

// The first byte is how many bytes arrive at a time, and how many integers an answer has; the rest is what a server says.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    static const sluice::detail::redis::Scripts scripts{"return 1", "return {}"};
    const std::size_t step = 1 + data[0] % 16;
    std::string_view rest{reinterpret_cast<const char*>(data) + 1, size - 1};
    const Arguments common;
    std::array<std::array<std::int64_t, 12>, 3> values{};
    std::array<ScriptCall, 3> asked{};
    CallSet calls;
    for (std::size_t i = 0; i != asked.size(); ++i) {
        ScriptCall& call = asked[i];
        call.scripts = &scripts;
        call.common = &common;
        call.keys = "$1\r\nk\r\n";
        call.units = i == 0 ? "$1\r\n1\r\n" : "$1\r\n2\r\n";
        call.values_each = 1 + data[0] / 16 % 4;
        call.decisions = 1 + i;
        call.values = values[i];
        calls.add(call);
    }
    Exchange exchange;
    exchange.reset();
    exchange.begin(calls);
    std::error_code error;
    while (!error && exchange.want() != Exchange::Want::done) {
        if (exchange.want() == Exchange::Want::send) {
            exchange.sent(std::min(step, exchange.output().size()));
        } else if (rest.empty()) {
            error = sluice::Errc::disconnected;
        } else {
            error = exchange.feed(rest.substr(0, step));
            rest.remove_prefix(std::min(step, rest.size()));
        }
    }
    if (error) exchange.fail(error);
    for (std::size_t i = 0; i != asked.size(); ++i) {
        calls.collect(i, asked[i]);
        if (asked[i].error) continue;
        for (const auto value : values[i]) {
            if (value < ScriptCall::wrong_type || value > ScriptCall::max_value) std::abort();
        }
    }
    return 0;
}
