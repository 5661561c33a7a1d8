// SPDX-License-Identifier: MIT

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <sluice/redis/wire/text_query.hpp>

using sluice::detail::redis::Exchange;
using sluice::detail::redis::TextQuery;

/// Whether the answer is whole, and no error.
static bool is_answered(TextQuery& query, std::string_view reply, std::size_t step) {
    query.sent(query.output().size());
    while (query.want() == Exchange::Want::receive && !reply.empty()) {
        if (query.feed(reply.substr(0, step))) return false;
        reply.remove_prefix(std::min(step, reply.size()));
    }
    for (const auto& text : query.texts()) {
        if (text.size() > TextQuery::max_text) std::abort();
    }
    if (query.texts().size() > TextQuery::max_texts) std::abort();
    return query.want() == Exchange::Want::done;
}

// The first byte is how many bytes arrive at a time; the rest is what a sentinel says, and what a server says of itself.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::size_t step = 1 + data[0] % 16;
    const std::string_view reply{reinterpret_cast<const char*>(data) + 1, size - 1};
    sluice::detail::redis::MasterQuery where{"name"};
    sluice::detail::redis::HostPort master;
    if (is_answered(where, reply, step) && !where.result(master) && (master.host.empty() || master.port == 0))
        std::abort();
    sluice::detail::redis::RoleQuery what;
    if (is_answered(what, reply, step) && !what.result() && what.texts()[0] != "master") std::abort();
    return 0;
}
