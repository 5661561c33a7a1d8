// SPDX-License-Identifier: MIT

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include <sluice/redis/wire/errors.hpp>
#include <sluice/redis/wire/reply.hpp>

using sluice::detail::redis::Reply;
using sluice::detail::redis::ReplyReader;

// The first byte is how many bytes arrive at a time; the rest is what a server says.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::size_t step = 1 + data[0] % 16;
    std::string_view rest{reinterpret_cast<const char*>(data) + 1, size - 1};
    ReplyReader reader;
    while (!rest.empty()) {
        if (reader.feed(rest.substr(0, step))) return 0;
        rest.remove_prefix(std::min(step, rest.size()));
        for (;;) {
            const Reply* reply = nullptr;
            if (reader.next(reply)) return 0;
            if (reply == nullptr) break;
            if (reply->kind == Reply::Kind::none || reply->integers.size() > ReplyReader::max_elements) std::abort();
            if (reply->text.size() > Reply::max_text) std::abort();
            if (reply->kind == Reply::Kind::error &&
                sluice::detail::redis::classify(reply->text).code == sluice::Errc{})
                std::abort();
        }
    }
    return 0;
}
