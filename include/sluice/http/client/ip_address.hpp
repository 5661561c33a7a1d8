// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_CLIENT_IP_ADDRESS_HPP
#define SLUICE_HTTP_CLIENT_IP_ADDRESS_HPP

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include <arpa/inet.h>
#include <sys/socket.h>

#include <sluice/detail/cpp20.hpp>
#include <sluice/detail/is_number.hpp>

namespace sluice::http {

/// An IPv4 or IPv6 address as 16 bytes. An IPv4 address and its IPv6-mapped form (`::ffff:192.0.2.1`, however it is
/// written) are one value, so that a dual-stack socket and a proxy's header name the same client.
class IpAddress {
public:
    using Bytes = std::array<std::uint8_t, 16>;

    constexpr IpAddress() noexcept = default;  ///< the unspecified address ::
    constexpr explicit IpAddress(const Bytes& bytes) noexcept : bytes_(bytes) {}

    /// Reads a bare address: no port, brackets, zone or spaces, no octal or shortened IPv4. Never allocates.
    static std::optional<IpAddress> parse(std::string_view text) noexcept {
        if (const auto v4 = parse_v4(text)) return v4;
        std::array<char, INET6_ADDRSTRLEN> copy{};
        if (text.size() >= copy.size()) return std::nullopt;
        // Some systems' inet_pton takes a zone ("fe80::1%eth0"), and it would stop at a NUL.
        if (text.find_first_of(std::string_view{"%\0", 2}) != std::string_view::npos) return std::nullopt;
        std::copy(text.begin(), text.end(), copy.begin());
        Bytes bytes{};
        if (::inet_pton(AF_INET6, copy.data(), bytes.data()) != 1) return std::nullopt;
        return IpAddress{bytes};
    }

    constexpr const Bytes& bytes() const noexcept { return bytes_; }
    constexpr bool is_v4() const noexcept {
        return std::equal(mapped.begin(), mapped.begin() + mapped_bytes, bytes_.begin());
    }

    /// The IPv4 address that a translator has put into this one, and that alone tells clients apart: NAT64
    /// (64:ff9b::/96), 6to4 (2002::/16, of which each IPv4 host has a whole /48), Teredo (2001::/32), IPv4-translated
    /// (`::ffff:0:0:0/96`) and IPv4-compatible (::/96). Not ISATAP, whose interface identifier anyone may choose, nor
    /// local-use NAT64 (64:ff9b:1::/48), where the place of the IPv4 address is the operator's choice. For counting
    /// clients, never for trust: who sends from 2002:7f00:1:: does not send from 127.0.0.1.
    constexpr std::optional<IpAddress> embedded_v4() const noexcept {
        const auto starts_with = [&](std::initializer_list<std::uint8_t> prefix) {
            return std::equal(prefix.begin(), prefix.end(), bytes_.begin());
        };
        std::optional<IpAddress> v4;
        if (starts_with({0x20, 0x02})) v4 = v4_at(2, 0);
        if (starts_with({0x20, 0x01, 0, 0})) v4 = v4_at(mapped_bytes, 0xff);
        if (starts_with({0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0}) ||
            starts_with({0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0}) ||
            starts_with({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})) {
            v4 = v4_at(mapped_bytes, 0);
        }
        // ::, ::1 and others whose IPv4 part is no host's (0.0.0.0/8, 224.0.0.0/3) are none.
        if (v4 && (v4->bytes_[mapped_bytes] == 0 || v4->bytes_[mapped_bytes] >= 224)) v4.reset();
        return v4;
    }
    /// Whether it is of the local-use NAT64 block, 64:ff9b:1::/48: one IPv4 host each, not one network each.
    constexpr bool is_local_nat64() const noexcept {
        constexpr std::array<std::uint8_t, 6> prefix{0, 0x64, 0xff, 0x9b, 0, 1};
        return std::equal(prefix.begin(), prefix.end(), bytes_.begin());
    }

    /// The first `bits` bits, the others 0; counted in the 128 bits, so that an IPv4 prefix n is 96 + n.
    constexpr IpAddress masked(unsigned bits) const noexcept {
        Bytes kept = bytes_;
        for (std::uint8_t& byte : kept) {
            const unsigned here = std::min(bits, 8U);
            byte = static_cast<std::uint8_t>(byte & (0xff00U >> here));
            bits -= here;
        }
        return IpAddress{kept};
    }

    /// The usual text: dotted for IPv4, compressed lower case for IPv6.
    struct Text {
        std::array<char, INET6_ADDRSTRLEN> chars{};
        std::size_t size = 0;
        operator std::string_view() const noexcept { return {chars.data(), size}; }
    };
    Text text() const noexcept {
        Text out;
        if (is_v4()) {  // by hand, since every request's key needs it and inet_ntop is slow
            char* at = out.chars.data();
            for (std::size_t i = mapped_bytes; i < bytes_.size(); ++i) {
                if (i > mapped_bytes) *at++ = '.';
                const unsigned number = bytes_[i];
                if (number >= 100) *at++ = static_cast<char>('0' + number / 100);
                if (number >= 10) *at++ = static_cast<char>('0' + number / 10 % 10);
                *at++ = static_cast<char>('0' + number % 10);
            }
            out.size = static_cast<std::size_t>(at - out.chars.data());
        } else {
            ::inet_ntop(AF_INET6, bytes_.data(), out.chars.data(), static_cast<socklen_t>(out.chars.size()));
            out.size = std::strlen(out.chars.data());
        }
        return out;
    }

    friend constexpr bool operator==(const IpAddress&, const IpAddress&) = default;

private:
    /// Four numbers without leading zeros, by hand as in text().
    static std::optional<IpAddress> parse_v4(std::string_view text) noexcept {
        Bytes bytes = mapped;
        for (std::size_t i = mapped_bytes; i < bytes.size(); ++i) {
            if (i > mapped_bytes) {
                if (!text.starts_with('.')) return std::nullopt;
                text.remove_prefix(1);
            }
            unsigned number = 0;
            std::size_t digits = 0;
            for (; digits < text.size() && text[digits] >= '0' && text[digits] <= '9'; ++digits) {
                if (digits == 3 || (digits > 0 && number == 0)) return std::nullopt;
                number = number * 10 + static_cast<unsigned>(text[digits] - '0');
            }
            if (digits == 0 || number > 255) return std::nullopt;
            bytes[i] = static_cast<std::uint8_t>(number);
            text.remove_prefix(digits);
        }
        return text.empty() ? std::optional{IpAddress{bytes}} : std::nullopt;
    }

    /// The IPv4 address whose bytes, each xor `mask`, begin at `from`.
    constexpr IpAddress v4_at(std::size_t from, std::uint8_t mask) const noexcept {
        Bytes v4 = mapped;
        for (std::size_t i = 0; i < 4; ++i) v4[mapped_bytes + i] = static_cast<std::uint8_t>(bytes_[from + i] ^ mask);
        return IpAddress{v4};
    }

    static constexpr std::size_t mapped_bytes = 12;
    static constexpr Bytes mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0};

    Bytes bytes_{};
};

/// A block of addresses in CIDR notation, one address, or "unix", the peers of a Unix socket, which have no address. A
/// block of one family never holds the other's addresses: ::/0 is every IPv6 address and no IPv4 address.
class Network {
public:
    /// "10.0.0.0/8", "2001:db8::/32", "192.0.2.1". Throws std::invalid_argument with the text, also where bits are
    /// set beyond the prefix ("10.0.0.1/8"): the writer meant something else.
    explicit Network(std::string_view text) : is_unix_(text == "unix") {
        if (is_unix_) return;
        const auto slash = text.find('/');
        const auto address = IpAddress::parse(text.substr(0, slash));
        if (!address) refuse(text, "not an address or a block in CIDR notation");
        const unsigned width = address->is_v4() && text.find(':') == std::string_view::npos ? 32 : 128;
        unsigned prefix = width;
        if (slash != std::string_view::npos) {
            const auto digits = text.substr(slash + 1);
            const bool leading_zero = digits.size() > 1 && digits.front() == '0';
            if (!sluice::detail::is_number(digits, prefix) || leading_zero || prefix > width) {
                refuse(text, "the prefix must be from 0 to " + std::to_string(width));
            }
        }
        bits_ = prefix + 128 - width;
        base_ = address->masked(bits_);
        if (!(base_ == *address)) refuse(text, "bits are set beyond the prefix");
        is_v4_ = base_.is_v4() && bits_ >= 96;
    }

    constexpr bool is_unix() const noexcept { return is_unix_; }
    constexpr bool contains(const IpAddress& address) const noexcept {
        return !is_unix_ && address.is_v4() == is_v4_ && address.masked(bits_) == base_;
    }

private:
    [[noreturn]] static void refuse(std::string_view text, const std::string& why) {
        throw std::invalid_argument("sluice: network '" + std::string{text} + "': " + why);
    }

    IpAddress base_;
    unsigned bits_ = 128;
    bool is_v4_ = false;
    bool is_unix_;
};

}  // namespace sluice::http

#endif
