// SPDX-License-Identifier: MIT

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>

#include <sluice/redis/link/cluster_routing.hpp>
#include <sluice/redis/link/cluster_table.hpp>
#include <sluice/redis/redis_stats.hpp>
#include <sluice/redis/wire/call_set.hpp>
#include <sluice/redis/wire/exchange.hpp>
#include <sluice/redis/wire/redirection.hpp>
#include <sluice/redis/wire/slot_map.hpp>

using namespace sluice::detail::redis;

namespace {

/// Knows everybody, and nobody's slot.
struct FakeTable {
    using Member = std::shared_ptr<NodeRecord>;

    Member owner(Slot) const { return nullptr; }
    Member named(const HostPort& address, const NodeRecord&) { return std::make_shared<NodeRecord>(address); }
    void assign(Slot slot, const Member& owner) { map.assign(slot, map.add(owner->address())); }

    SlotMap map{};
};

/// What a client does with calls that nodes turn away, without the nodes: whoever is asked says what the input holds.
/// Calls come to an end, and only what was turned away is sent again.
void lead(std::string_view rest, std::size_t step) {
    static const Scripts scripts{"return 1", "return {}"};
    const Arguments common;
    std::array<std::int64_t, 4> values{};
    std::array<ScriptCall, 4> calls{};
    std::array<bool, 4> is_open{true, true, true, true};
    for (std::size_t i = 0; i != calls.size(); ++i) {
        calls[i].scripts = &scripts;
        calls[i].common = &common;
        calls[i].keys = "$1\r\nk\r\n";
        calls[i].units = "$1\r\n1\r\n";
        calls[i].decisions = 1;
        calls[i].slot = static_cast<Slot>(i / 2);
        calls[i].values = {&values[i], 1};
    }
    FakeTable table;
    Counters counters;
    ClusterRouting routing{table, counters};
    const FakeTable::Member asked = table.named({"h", 7}, NodeRecord{{"", 0}});
    for (int round = 0; std::find(is_open.begin(), is_open.end(), true) != is_open.end(); ++round) {
        CallSet set;
        for (std::size_t i = 0; i != calls.size(); ++i) {
            if (is_open[i]) set.add(calls[i]);
        }
        Exchange exchange;
        exchange.reset();
        exchange.begin(set);
        std::error_code error;
        while (!error && exchange.want() != Exchange::Want::done) {
            if (exchange.want() == Exchange::Want::send) {
                exchange.sent(std::min(step, exchange.output().size()));
            } else if (rest.empty()) {
                error = sluice::Errc::disconnected;
            } else {
                const auto end = std::min({rest.find('\n') + 1, step, rest.size()});
                const auto count = end == 0 ? std::min(step, rest.size()) : end;
                error = exchange.feed(rest.substr(0, count));
                rest.remove_prefix(count);
            }
        }
        if (error) exchange.fail(error);
        CallSet::Ticket ticket = 0;
        for (std::size_t i = 0; i != calls.size(); ++i) {
            if (!is_open[i]) continue;
            set.collect(ticket++, calls[i]);
            const auto answer = calls[i].error;
            const bool was_turned_away = calls[i].redirection.kind != Redirection::Kind::none;
            const auto next = routing.answered(calls[i], asked, std::chrono::seconds{1});
            is_open[i] = next.next != ClusterRouting<FakeTable>::Next::finish;
            if (is_open[i] && !answer) std::abort();
            if (next.to && !was_turned_away) std::abort();
            calls[i].redirection = {};
        }
        if (round > 10'000) std::abort();
    }
}

}  // namespace

// The first byte is how many bytes arrive at a time; the rest is what nodes answer, or the line of an error.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view rest{reinterpret_cast<const char*>(data) + 1, size - 1};
    const auto redirection = Redirection::parse(rest);
    if (redirection.slot != any_slot && redirection.slot >= slot_count) std::abort();
    if (redirection.to.host.size() > HostPort::max_host) std::abort();
    const bool may_name = redirection.kind == Redirection::Kind::moved || redirection.kind == Redirection::Kind::ask;
    if (redirection.to.is_known() && !may_name) std::abort();
    lead(rest, 1 + data[0] % 64);
    return 0;
}
