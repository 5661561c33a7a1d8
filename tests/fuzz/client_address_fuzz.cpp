// SPDX-License-Identifier: MIT
//
// libFuzzer on what reads addresses and proxies' headers. Input: a line for the peer, then the header's lines.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include <sluice/http/client/client_address.hpp>

using namespace sluice::http;

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

std::vector<std::string_view> split(std::string_view text) {
    std::vector<std::string_view> lines;
    for (;;) {
        const auto end = text.find('\n');
        lines.push_back(text.substr(0, end));
        if (end == std::string_view::npos) return lines;
        text.remove_prefix(end + 1);
    }
}

void check(const ClientAddress& finder, std::string_view peer, const std::vector<std::string_view>& lines) {
    const auto direct = finder.find(peer);
    const auto found = finder.find(peer, lines);
    if (!finder.trusts_unix()) require(direct.has_value() == found.has_value());
    if (!found) return;
    require(IpAddress::parse(found->text()) == *found);
    if (!direct) return;
    // What is written is read back, and a client outside the proxies is always itself.
    require(IpAddress::parse(found->text()) == *found);
    require(IpAddress::parse(peer.substr(0, peer.find('%'))) == *direct);
    if (!finder.is_trusted(*direct)) require(*found == *direct);
    // A list that the proxy in front continues with a good address has that as its client.
    auto continued = lines;
    continued.push_back(finder.header() == "Forwarded" ? "for=203.0.113.7" : "203.0.113.7");
    if (finder.is_trusted(*direct)) require(finder.find(peer, continued) == IpAddress::parse("203.0.113.7"));
    const auto once = finder.identity(*found);
    require(finder.identity(once) == once);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const std::vector<Network> proxies{Network{"10.0.0.0/8"}, Network{"fd00::/8"}};
    static const ClientAddress by_x{{.trusted_proxies = proxies}};
    static const ClientAddress by_forwarded{{.trusted_proxies = proxies, .header = ForwardedBy::forwarded}};
    static const ClientAddress behind_socket{{.trusted_proxies = {Network{"unix"}}}};

    auto lines = split({reinterpret_cast<const char*>(data), size});
    const auto peer = lines.front();
    lines.erase(lines.begin());
    for (const auto* finder : {&by_x, &by_forwarded, &behind_socket}) {
        check(*finder, peer, lines);
        check(*finder, "10.0.0.1", lines);
    }
    try {
        const Network network{peer};
        if (!network.is_unix()) require(network.contains(*IpAddress::parse(peer.substr(0, peer.find('/')))));
    } catch (const std::invalid_argument&) {
    }
    return 0;
}
