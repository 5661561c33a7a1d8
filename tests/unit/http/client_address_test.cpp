// SPDX-License-Identifier: MIT
#include "support/catch.hpp"

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/http/client/client_address.hpp>

using sluice::http::ClientAddress;
using sluice::http::ForwardedBy;
using sluice::http::IpAddress;
using sluice::http::Network;
using Lines = std::vector<std::string_view>;

namespace {

std::string find(const ClientAddress& finder, std::string_view peer, const Lines& lines) {
    const auto address = finder.find(peer, lines);
    return address ? std::string{std::string_view{address->text()}} : "(none)";
}

// 10.0.0.0/8 and 2001:db8:ff::/48 are the proxies; 10.0.0.1 is who connects unless a row says otherwise.
const std::vector<Network> proxies{Network{"10.0.0.0/8"}, Network{"2001:db8:ff::/48"}};

struct Row {
    Lines lines;
    std::string_view client;
    std::string_view peer = "10.0.0.1";
};

}  // namespace

TEST_CASE("X-Forwarded-For is believed only as far as trusted proxies wrote it", "[http][client_address]") {
    using namespace std::string_view_literals;
    const std::string long_list = [] {
        std::string list = "203.0.113.7";
        for (int i = 0; i < 32; ++i) list += ", 10.0.0.2";
        return list;
    }();
    const std::string spoofed = std::string(100'000, ',') + "203.0.113.7";
    const std::string full_list = long_list.substr(0, long_list.rfind(','));  // 32 hops in all
    const Row rows[] = {
        // Nothing to believe.
        {{}, "10.0.0.1"},
        {{"203.0.113.7"}, "198.51.100.1", "198.51.100.1"},
        {{"10.0.0.2"}, "198.51.100.1", "198.51.100.1"},
        {{"203.0.113.7"}, "2001:db8::1", "2001:db8::1"},
        // The first untrusted from the right.
        {{"203.0.113.7"}, "203.0.113.7"},
        {{"203.0.113.7, 10.0.0.2"}, "203.0.113.7"},
        {{"9.9.9.9, 203.0.113.7, 10.0.0.2"}, "203.0.113.7"},
        {{"9.9.9.9, 203.0.113.7"}, "203.0.113.7"},
        {{"10.0.0.9, 203.0.113.7, 10.0.0.2"}, "203.0.113.7"},
        {{"9.9.9.9,203.0.113.7"}, "203.0.113.7"},
        {{"9.9.9.9 \t, \t 203.0.113.7 \t"}, "203.0.113.7"},
        // All trusted: the leftmost.
        {{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
        {{"10.0.0.2"}, "10.0.0.2"},
        // Several lines are one list, in the order they came.
        {{"9.9.9.9", "203.0.113.7"}, "203.0.113.7"},
        {{"203.0.113.7", "10.0.0.2"}, "203.0.113.7"},
        {{"9.9.9.9, 8.8.8.8", "203.0.113.7, 10.0.0.3", "10.0.0.2"}, "203.0.113.7"},
        // What the client wrote is not looked at, be it as wrong as it likes.
        {{"unknown, 203.0.113.7"}, "203.0.113.7"},
        {{"<script>, 203.0.113.7, 10.0.0.2"}, "203.0.113.7"},
        {{", , ,203.0.113.7"}, "203.0.113.7"},
        {{"\"203.0.113.8, 203.0.113.7"}, "203.0.113.7"},
        {{spoofed}, "203.0.113.7"},
        // Unclear where it counts: the peer.
        {{""}, "10.0.0.1"},
        {{" "}, "10.0.0.1"},
        {{"unknown"}, "10.0.0.1"},
        {{"203.0.113.7, unknown"}, "10.0.0.1"},
        {{"203.0.113.7, unknown, 10.0.0.2"}, "10.0.0.1"},
        {{"203.0.113.7, _hidden"}, "10.0.0.1"},
        {{"203.0.113.7,"}, "10.0.0.1"},
        {{"203.0.113.7, , 10.0.0.2"}, "10.0.0.1"},
        {{"203.0.113.7", ""}, "10.0.0.1"},
        {{"203.0.113.7 10.0.0.2"}, "10.0.0.1"},
        {{"203.0.113.7;10.0.0.2"}, "10.0.0.1"},
        {{"203.0.113.07"}, "10.0.0.1"},
        {{"203.0.113"}, "10.0.0.1"},
        {{"3405803783"}, "10.0.0.1"},
        {{"203.0.113.7\0"sv}, "10.0.0.1"},
        {{"203.0.113.7\r"}, "10.0.0.1"},
        {{"example.org"}, "10.0.0.1"},
        {{"\"203.0.113.7\""}, "10.0.0.1"},
        {{"fe80::1%eth0"}, "10.0.0.1"},
        {{"for=203.0.113.7"}, "10.0.0.1"},
        {{long_list}, "10.0.0.1"},
        {{full_list}, "203.0.113.7"},
        // Ports and brackets.
        {{"203.0.113.7:1234"}, "203.0.113.7"},
        {{"203.0.113.7:"}, "10.0.0.1"},
        {{"203.0.113.7:port"}, "10.0.0.1"},
        {{"203.0.113.7:123456"}, "10.0.0.1"},
        {{"[2001:db8::7]"}, "2001:db8::7"},
        {{"[2001:db8::7]:443"}, "2001:db8::7"},
        {{"2001:db8::7"}, "2001:db8::7"},
        {{"2001::7"}, "2001::7"},
        {{"[2001:db8::7"}, "10.0.0.1"},
        {{"2001:db8::7]"}, "10.0.0.1"},
        {{"[2001:db8::7]443"}, "10.0.0.1"},
        {{"[2001:db8::7]:"}, "10.0.0.1"},
        {{"[203.0.113.7]"}, "10.0.0.1"},
        {{"[]"}, "10.0.0.1"},
        {{"["}, "10.0.0.1"},
        {{":80"}, "10.0.0.1"},
        // IPv6 proxies, mapped addresses.
        {{"203.0.113.7, 2001:db8:ff::9"}, "203.0.113.7"},
        {{"203.0.113.7"}, "203.0.113.7", "2001:db8:ff::1"},
        {{"203.0.113.7"}, "203.0.113.7", "::ffff:10.0.0.1"},
        {{"203.0.113.7, ::ffff:a00:2"}, "203.0.113.7"},
        {{"::ffff:cb00:7107"}, "203.0.113.7"},
        {{"::ffff:203.0.113.7, 10.0.0.2"}, "203.0.113.7"},
        // The peer itself.
        {{"203.0.113.7"}, "(none)", ""},
        {{"203.0.113.7"}, "(none)", "unix:"},
        {{"203.0.113.7"}, "fe80::1", "fe80::1%eth0"},
    };
    STATIC_REQUIRE(std::size(rows) >= 60);
    const ClientAddress finder{{.trusted_proxies = proxies}};
    for (const auto& [lines, client, peer] : rows) {
        INFO("peer " << peer << ", client " << client << ", lines " << lines.size() << ": "
                     << (lines.empty() ? "" : lines.front().substr(0, 80)));
        CHECK(find(finder, peer, lines) == client);
    }
}

TEST_CASE("Forwarded is read by the grammar of RFC 7239", "[http][client_address]") {
    const Row rows[] = {
        {{}, "10.0.0.1"},
        {{"for=203.0.113.7"}, "203.0.113.7"},
        {{"for=203.0.113.7"}, "198.51.100.1", "198.51.100.1"},
        {{"For=\"203.0.113.7\""}, "203.0.113.7"},
        {{"For=\"[2001:db8:cafe::17]:4711\""}, "2001:db8:cafe::17"},
        {{"for=203.0.113.7;proto=http;by=203.0.113.43"}, "203.0.113.7"},
        {{"by=203.0.113.43;for=203.0.113.7"}, "203.0.113.7"},
        {{"for=9.9.9.9, for=203.0.113.7, for=10.0.0.2"}, "203.0.113.7"},
        {{"for=9.9.9.9", "for=203.0.113.7,for=10.0.0.2"}, "203.0.113.7"},
        {{"for=\"_gazonk\", for=203.0.113.7"}, "203.0.113.7"},
        {{"for=_SEVKISEK, for=203.0.113.7"}, "203.0.113.7"},
        {{"proto=https, for=203.0.113.7"}, "203.0.113.7"},
        {{"for=10.0.0.3, for=10.0.0.2"}, "10.0.0.3"},
        {{"for=203.0.113.7;host=\"a,b;c\\\"d\""}, "203.0.113.7"},
        {{"for=\"203.0.113.7:80\""}, "203.0.113.7"},
        {{"for=203.0.113.7 ; proto=http"}, "203.0.113.7"},
        {{"for=203.0.113.7;x=\"\""}, "203.0.113.7"},
        {{"for=203.0.113.7 \t;  \t proto=http"}, "203.0.113.7"},
        {{"for=203.0.113.7", "for=10.0.0.2"}, "203.0.113.7"},
        // Unclear: the peer.
        {{"for=unknown"}, "10.0.0.1"},
        {{"for=203.0.113.7, proto=https"}, "10.0.0.1"},
        {{"for=203.0.113.7, for=_hidden"}, "10.0.0.1"},
        {{"for=203.0.113.7:80"}, "10.0.0.1"},
        {{"for=2001:db8::1"}, "10.0.0.1"},
        {{"for=\"2001:db8::1"}, "10.0.0.1"},
        {{"for=\"203.0.113\\.7\""}, "10.0.0.1"},
        {{"for=203.0.113.7;for=203.0.113.8"}, "10.0.0.1"},
        {{"for = 203.0.113.7"}, "10.0.0.1"},
        {{"for="}, "10.0.0.1"},
        {{"for"}, "10.0.0.1"},
        {{"203.0.113.7"}, "10.0.0.1"},
        {{"for=203.0.113.7,"}, "10.0.0.1"},
        {{"for=203.0.113.7;"}, "10.0.0.1"},
        {{""}, "10.0.0.1"},
        // Wrong left of what counts: it could have moved the borders.
        {{"for=, for=203.0.113.7"}, "10.0.0.1"},
        {{"for, for=203.0.113.7"}, "10.0.0.1"},
        {{"=9.9.9.9, for=203.0.113.7"}, "10.0.0.1"},
        {{", for=203.0.113.7"}, "10.0.0.1"},
        {{"(x=1, for=203.0.113.7"}, "10.0.0.1"},
        {{"for=9.9.9.9;, for=203.0.113.7"}, "10.0.0.1"},
        {{"for=9.9.9.9;for=9.9.9.9, for=203.0.113.7"}, "10.0.0.1"},
        {{"for=9.9.9.9 x, for=203.0.113.7"}, "10.0.0.1"},
        // Quotes opened by the client to swallow what the proxy adds.
        {{"for=\"x, for=203.0.113.7"}, "10.0.0.1"},
        {{"for=9.9.9.9;x=\", for=\"203.0.113.7\""}, "10.0.0.1"},
        {{"for=9.9.9.9, for=\", for=\"[2001:db8::7]:80\""}, "10.0.0.1"},
        {{"for=9.9.9.9;x=\"\\", "for=203.0.113.7"}, "203.0.113.7"},
    };
    const ClientAddress finder{{.trusted_proxies = proxies, .header = ForwardedBy::forwarded}};
    for (const auto& [lines, client, peer] : rows) {
        INFO("client " << client << ", lines " << lines.size() << ": " << (lines.empty() ? "" : lines.front()));
        CHECK(find(finder, peer, lines) == client);
    }
    std::string many = "for=203.0.113.7";
    for (int i = 0; i < 31; ++i) many += ",for=10.0.0.2";
    CHECK(find(finder, "10.0.0.1", {many}) == "203.0.113.7");
    many = "for=9.9.9.9," + many;
    CHECK(find(finder, "10.0.0.1", {many}) == "203.0.113.7");
    many += ",for=10.0.0.2";
    CHECK(find(finder, "10.0.0.1", {many}) == "10.0.0.1");
    CHECK(find(finder, "10.0.0.1", {many + ",proto=https"}) == "10.0.0.1");
}

TEST_CASE("only the configured header is asked for", "[http][client_address]") {
    CHECK(ClientAddress{}.header().empty());
    CHECK(ClientAddress{{.trusted_proxies = proxies}}.header() == "X-Forwarded-For");
    CHECK(ClientAddress{{.trusted_proxies = proxies, .header = ForwardedBy::forwarded}}.header() == "Forwarded");
    CHECK(find(ClientAddress{}, "10.0.0.1", {"203.0.113.7"}) == "10.0.0.1");
}

TEST_CASE("a proxy on a Unix socket can be trusted", "[http][client_address]") {
    const ClientAddress finder{{.trusted_proxies = {Network{"unix"}, Network{"10.0.0.0/8"}}}};
    CHECK(finder.header() == "X-Forwarded-For");
    for (const char* peer : {"", "unix:", "@"}) {
        INFO(peer);
        CHECK(find(finder, peer, {"203.0.113.7"}) == "203.0.113.7");
        CHECK(find(finder, peer, {"9.9.9.9, 203.0.113.7, 10.0.0.2"}) == "203.0.113.7");
        CHECK(find(finder, peer, {"9.9.9.9", "203.0.113.7"}) == "203.0.113.7");
        CHECK(find(finder, peer, {"9.9.9.9, unknown"}) == "(none)");
        CHECK(find(finder, peer, {""}) == "(none)");
        CHECK(find(finder, peer, {}) == "(none)");
    }
    // It is not every peer, and not every peer of a socket where it is not named.
    CHECK(find(finder, "198.51.100.1", {"203.0.113.7"}) == "198.51.100.1");
    CHECK(find(ClientAddress{{.trusted_proxies = proxies}}, "", {"203.0.113.7"}) == "(none)");
    CHECK(find(ClientAddress{{.trusted_proxies = {Network{"unix"}}}}, "10.0.0.1", {"203.0.113.7"}) == "10.0.0.1");
}

TEST_CASE("a translated client is its IPv4 address", "[http][client_address]") {
    const auto identity = [](std::string_view address) {
        return std::string{std::string_view{ClientAddress{}.identity(*IpAddress::parse(address)).text()}};
    };
    CHECK(identity("64:ff9b::c633:6401") == "198.51.100.1");
    CHECK(identity("64:ff9b::198.51.100.2") == "198.51.100.2");
    CHECK(identity("2002:c633:6401::1") == "198.51.100.1");
    CHECK(identity("2002:c633:6401:ffff:1:2:3:4") == "198.51.100.1");
    CHECK(identity("2001:0:4136:e378:8000:63bf:3fff:fdd2") == "192.0.2.45");
    CHECK(identity("::ffff:0:198.51.100.1") == "198.51.100.1");
    CHECK(identity("::198.51.100.1") == "198.51.100.1");
    // The block for local use: each address is one host, wherever its IPv4 part stands.
    CHECK(identity("64:ff9b:1:c633:64:100::") == "64:ff9b:1:c633:64:100::");
    CHECK(identity("64:ff9b:1::198.51.100.1") != identity("64:ff9b:1::198.51.100.2"));
    // What only looks so.
    CHECK(identity("::1") == "::");
    CHECK(identity("::") == "::");
    CHECK(identity("64:ff9b:0:1::198.51.100.1") == "64:ff9b:0:1::");
    CHECK(identity("2001:db8::198.51.100.1") == "2001:db8::");
    CHECK(identity("2002:0:1::") == "2002:0:1::");
    CHECK(identity("2002:e000:1::") == "2002:e000:1::");
    CHECK(identity("2002:dfff:1::") == "223.255.0.1");
    CHECK(identity("2001:db8:1:2:0:5efe:198.51.100.1") == "2001:db8:1:2::");
    // Counted as IPv4, but trusted as what they are.
    const ClientAddress finder{{.trusted_proxies = {Network{"10.0.0.0/8"}}}};
    CHECK_FALSE(finder.is_trusted(*IpAddress::parse("64:ff9b::10.0.0.1")));
    CHECK(find(finder, "2002:a00:1::", {"203.0.113.7"}) == "2002:a00:1::");
}

TEST_CASE("an IPv6 client is its prefix, an IPv4 client its address", "[http][client_address]") {
    const auto identity = [](const ClientAddress& finder, std::string_view address) {
        return std::string{std::string_view{finder.identity(*finder.find(address)).text()}};
    };
    CHECK(identity(ClientAddress{}, "2001:db8:1:2:3:4:5:6") == "2001:db8:1:2::");
    CHECK(identity(ClientAddress{}, "2001:db8:1:2:ffff::") == "2001:db8:1:2::");
    CHECK(identity(ClientAddress{}, "::ffff:102:304") == "1.2.3.4");
    CHECK(identity(ClientAddress{}, "1.2.3.4") == "1.2.3.4");
    CHECK(identity(ClientAddress{{.v6_prefix = 48}}, "2001:db8:1:2::") == "2001:db8:1::");
    CHECK(identity(ClientAddress{{.v6_prefix = 128}}, "2001:db8::1") == "2001:db8::1");
    CHECK(identity(ClientAddress{{.v6_prefix = 1}}, "ffff::") == "8000::");
    CHECK_THROWS_AS((ClientAddress{{.v6_prefix = 0}}), std::invalid_argument);
    CHECK_THROWS_AS((ClientAddress{{.v6_prefix = 129}}), std::invalid_argument);
}

TEST_CASE("a number of hops is counted where the proxies' addresses are not known", "[http][client_address]") {
    const ClientAddress two{{.hops = 2}};
    CHECK(two.header() == "X-Forwarded-For");
    CHECK(find(two, "198.51.100.1", {"9.9.9.9, 203.0.113.7, 10.0.0.2"}) == "203.0.113.7");
    CHECK(find(two, "198.51.100.1", {"203.0.113.7", "10.0.0.2"}) == "203.0.113.7");
    CHECK(find(two, "/run/socket", {"203.0.113.7, 10.0.0.2"}) == "203.0.113.7");
    CHECK(find(two, "198.51.100.1", {"203.0.113.7"}) == "203.0.113.7");
    CHECK(find(two, "198.51.100.1", {"203.0.113.7, unknown"}) == "198.51.100.1");
    CHECK(find(two, "198.51.100.1", {}) == "198.51.100.1");
    const ClientAddress one{{.header = ForwardedBy::forwarded, .hops = 1}};
    CHECK(find(one, "198.51.100.1", {"for=9.9.9.9, for=203.0.113.7"}) == "203.0.113.7");
    CHECK_NOTHROW(ClientAddress{{.hops = 32}});
    CHECK_THROWS_AS((ClientAddress{{.hops = 33}}), std::invalid_argument);
    CHECK_THROWS_AS((ClientAddress{{.trusted_proxies = proxies, .hops = 1}}), std::invalid_argument);
    CHECK_THROWS_AS((ClientAddress{{.header = ForwardedBy::x_real_ip, .hops = 1}}), std::invalid_argument);
}

TEST_CASE("a header of one address is believed of a trusted proxy, if it is one", "[http][client_address]") {
    const ClientAddress real{{.trusted_proxies = proxies, .header = ForwardedBy::x_real_ip}};
    CHECK(real.header() == "X-Real-IP");
    CHECK(ClientAddress{{.trusted_proxies = proxies, .header = ForwardedBy::cf_connecting_ip}}.header() ==
          "CF-Connecting-IP");
    CHECK(find(real, "10.0.0.1", {" 203.0.113.7 "}) == "203.0.113.7");
    CHECK(find(real, "10.0.0.1", {"2001:db8::7"}) == "2001:db8::7");
    CHECK(find(real, "192.0.2.1", {"203.0.113.7"}) == "192.0.2.1");
    CHECK(find(real, "10.0.0.1", {"203.0.113.7, 203.0.113.8"}) == "10.0.0.1");
    CHECK(find(real, "10.0.0.1", {"203.0.113.7", "203.0.113.8"}) == "10.0.0.1");
    CHECK(find(real, "10.0.0.1", {""}) == "10.0.0.1");
}
