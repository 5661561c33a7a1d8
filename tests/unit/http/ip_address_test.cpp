// SPDX-License-Identifier: MIT
#include "support/catch.hpp"

#include <stdexcept>
#include <string>
#include <string_view>

#include <sluice/http/client/ip_address.hpp>

using sluice::http::IpAddress;
using sluice::http::Network;

namespace {

std::string text(std::string_view address) {
    const auto parsed = IpAddress::parse(address);
    return parsed ? std::string{std::string_view{parsed->text()}} : "(none)";
}

}  // namespace

TEST_CASE("addresses are read strictly and written canonically", "[http][ip_address]") {
    struct Row {
        std::string_view in, out;
    };
    using namespace std::string_view_literals;
    const Row rows[] = {
        {"0.0.0.0", "0.0.0.0"},
        {"192.0.2.1", "192.0.2.1"},
        {"255.255.255.255", "255.255.255.255"},
        {"::", "::"},
        {"::1", "::1"},
        {"2001:DB8::A", "2001:db8::a"},
        {"2001:db8:0:0:0:0:0:1", "2001:db8::1"},
        {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
        {"fe80::1", "fe80::1"},
        {"64:ff9b::c000:201", "64:ff9b::c000:201"},
        // One client, however its mapped address is written.
        {"::ffff:192.0.2.1", "192.0.2.1"},
        {"::ffff:c000:201", "192.0.2.1"},
        {"::FFFF:192.0.2.1", "192.0.2.1"},
        {"0:0:0:0:0:ffff:c000:0201", "192.0.2.1"},
        {"0000:0000:0000:0000:0000:ffff:192.0.2.1", "192.0.2.1"},
        // Ends like an IPv4 address, but is none.
        {"2001:db8::192.0.2.1", "2001:db8::c000:201"},
        {"::fffe:192.0.2.1", "::fffe:c000:201"},
        {"", "(none)"},
        {" ", "(none)"},
        {"192.0.2", "(none)"},
        {"192.0.2.1.1", "(none)"},
        {"192.0.2.256", "(none)"},
        {"192.0.2.01", "(none)"},
        {"0300.0.2.1", "(none)"},
        {"0x7f.0.0.1", "(none)"},
        {"2130706433", "(none)"},
        {" 192.0.2.1", "(none)"},
        {"192.0.2.1 ", "(none)"},
        {"192.0.2.1:80", "(none)"},
        {"[::1]", "(none)"},
        {"-1.0.0.1", "(none)"},
        {"1.2.3.+4", "(none)"},
        {"192.0.2.1\0"sv, "(none)"},
        {"::1\0x"sv, "(none)"},
        {":::", "(none)"},
        {"1::2::3", "(none)"},
        {"1:2:3:4:5:6:7", "(none)"},
        {"1:2:3:4:5:6:7:8:9", "(none)"},
        {"12345::", "(none)"},
        {"fe80::1%eth0", "(none)"},
        {"::g", "(none)"},
        {"::ffff:192.0.2.256", "(none)"},
        {"2001:db8::1/64", "(none)"},
        {"unknown", "(none)"},
        {"_hidden", "(none)"},
        {"localhost", "(none)"},
        {"0000:0000:0000:0000:0000:ffff:192.168.100.1000", "(none)"},
        {"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0001", "(none)"},
    };
    for (const auto& [in, out] : rows) {
        INFO(in);
        CHECK(text(in) == out);
    }
    CHECK(IpAddress::parse("::ffff:c000:201") == IpAddress::parse("192.0.2.1"));
    CHECK(IpAddress::parse("::ffff:c000:201")->is_v4());
    CHECK_FALSE(IpAddress::parse("::c000:201")->is_v4());
    CHECK_FALSE(IpAddress{}.is_v4());
}

TEST_CASE("an address is masked by bits", "[http][ip_address]") {
    const auto masked = [](std::string_view address, unsigned bits) {
        return std::string{std::string_view{IpAddress::parse(address)->masked(bits).text()}};
    };
    CHECK(masked("2001:db8:1:2:3:4:5:6", 64) == "2001:db8:1:2::");
    CHECK(masked("2001:db8:1:2ff:3:4:5:6", 56) == "2001:db8:1:200::");
    CHECK(masked("2001:db8:1:2:3:4:5:6", 128) == "2001:db8:1:2:3:4:5:6");
    CHECK(masked("2001:db8:ffff::", 33) == "2001:db8:8000::");
    CHECK(masked("2001:db8::1", 0) == "::");
    CHECK(masked("192.0.2.255", 96 + 24) == "192.0.2.0");
    CHECK(masked("192.0.2.255", 96 + 31) == "192.0.2.254");
}

TEST_CASE("a network holds the addresses of its family and prefix", "[http][ip_address]") {
    const auto holds = [](std::string_view network, std::string_view address) {
        return Network{network}.contains(*IpAddress::parse(address));
    };
    CHECK(holds("10.0.0.0/8", "10.255.0.1"));
    CHECK_FALSE(holds("10.0.0.0/8", "11.0.0.0"));
    CHECK(holds("10.0.0.0/8", "::ffff:10.0.0.1"));
    CHECK(holds("::ffff:10.0.0.0/104", "10.1.1.1"));
    CHECK(holds("192.0.2.1", "192.0.2.1"));
    CHECK_FALSE(holds("192.0.2.1", "192.0.2.2"));
    CHECK(holds("192.0.2.1/32", "192.0.2.1"));
    CHECK(holds("0.0.0.0/0", "203.0.113.9"));
    CHECK_FALSE(holds("0.0.0.0/0", "2001:db8::1"));
    CHECK_FALSE(holds("0.0.0.0/0", "::"));
    CHECK(holds("::/0", "2001:db8::1"));
    CHECK_FALSE(holds("::/0", "203.0.113.9"));
    CHECK(holds("2001:db8::/32", "2001:db8:ffff::1"));
    CHECK_FALSE(holds("2001:db8::/32", "2001:db9::1"));
    CHECK(holds("::ffff:0:0/96", "203.0.113.9"));
    CHECK(holds("::1", "::1"));
}

TEST_CASE("a bad network is refused with its text", "[http][ip_address]") {
    for (const char* bad : {"", "/", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/ 8",
                            "10.0.0.0/08", "10.0.0.0/8/8", "10.0.0.1/8", "10/8", "2001:db8::/129", "2001:db8::1/64",
                            "fe80::%eth0/64", "[::]/0", "10.0.0.0/99999999999", "localhost", "10.0.0.0/8 "}) {
        INFO(bad);
        try {
            Network network{bad};
            FAIL("accepted");
        } catch (const std::invalid_argument& error) {
            CHECK(std::string{error.what()}.find("'" + std::string{bad} + "'") != std::string::npos);
        }
    }
}
