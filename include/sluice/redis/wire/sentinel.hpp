// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_WIRE_SENTINEL_HPP
#define SLUICE_REDIS_WIRE_SENTINEL_HPP

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>

#include <sluice/error.hpp>
#include <sluice/redis/wire/host_port.hpp>
#include <sluice/redis/wire/text_query.hpp>

namespace sluice::detail::redis {

/// Asks a sentinel where a master is. Used as a Login.
class MasterQuery : public TextQuery {
public:
    explicit MasterQuery(std::string_view name) : TextQuery({"SENTINEL", "GET-MASTER-ADDR-BY-NAME", name}) {}

    /// Once it is done. Errc::misconfigured: the sentinel knows no master of that name.
    std::error_code result(HostPort& master) const {
        if (texts().empty()) return Errc::misconfigured;
        if (texts().size() != 2 || texts()[0].empty() || texts()[0].size() > HostPort::max_host) return Errc::protocol;
        const std::string& digits = texts()[1];
        const char* const end = digits.data() + digits.size();
        std::uint16_t port = 0;
        const auto [stop, error] = std::from_chars(digits.data(), end, port);
        if (error != std::errc{} || stop != end || port == 0) return Errc::protocol;
        master = {texts()[0], port};
        return {};
    }
};

/// Asks a server what it is. Used as a Login.
class RoleQuery : public TextQuery {
public:
    RoleQuery() : TextQuery({"ROLE"}) {}

    /// Once it is done. Errc::read_only: it is no master.
    std::error_code result() const {
        if (texts().empty()) return Errc::protocol;
        return texts()[0] == "master" ? std::error_code{} : make_error_code(Errc::read_only);
    }
};

}  // namespace sluice::detail::redis

#endif
