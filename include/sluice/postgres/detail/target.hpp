// SPDX-License-Identifier: MIT
#ifndef SLUICE_POSTGRES_DETAIL_TARGET_HPP
#define SLUICE_POSTGRES_DETAIL_TARGET_HPP

#include <libpq-fe.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::detail::postgres {

/// One server of a connection string.
struct Place {
    std::string host{};      ///< a name, or the folder of a unix socket; empty for libpq's own choice
    std::string hostaddr{};  ///< its address where that is known, so that nothing is looked up
    std::string port{};

    bool needs_look_up() const noexcept {
        return hostaddr.empty() && !host.empty() && host.front() != '/' && host.front() != '@';
    }
    std::uint16_t port_number() const noexcept {
        std::uint16_t number = 5432;
        std::from_chars(port.data(), port.data() + port.size(), number);
        return number;
    }
};

/// A connection string in parts: the servers, and what is the same for all of them. Never shown to anyone: it may hold a
/// password.
class Target {
public:
    /// Throws std::invalid_argument without quoting anything of the string.
    explicit Target(const std::string& connection_string) {
        const Options given{PQconninfoParse(connection_string.c_str(), nullptr), PQconninfoFree};
        if (!given || connection_string.find('\0') != std::string::npos) {
            throw std::invalid_argument("sluice: the Postgres connection string cannot be understood");
        }
        const Options defaults{PQconndefaults(), PQconninfoFree};  // those of the environment too
        const auto value_of = [&](const char* keyword) {
            const std::string chosen = find(given.get(), keyword);
            return chosen.empty() ? find(defaults.get(), keyword) : chosen;
        };
        const auto hosts = split(value_of("host"));
        const auto addresses = split(find(given.get(), "hostaddr"));
        const auto ports = split(value_of("port"));
        const std::size_t count = std::max(hosts.size(), addresses.size());
        if ((addresses.size() > 1 && hosts.size() > 1 && addresses.size() != hosts.size()) ||
            (ports.size() > 1 && ports.size() != count)) {
            throw std::invalid_argument(
                "sluice: the Postgres connection string must name as many ports and addresses as hosts");
        }
        for (std::size_t i = 0; i != count; ++i) {
            const auto item = [&](const std::vector<std::string>& list) {
                return i < list.size() ? list[i] : list.size() == 1 ? list[0] : std::string{};
            };
            places_.push_back({item(hosts), i < addresses.size() ? addresses[i] : std::string{}, item(ports)});
        }
        for (const PQconninfoOption* option = given.get(); option->keyword != nullptr; ++option) {
            const std::string_view keyword = option->keyword;
            if (option->val == nullptr || keyword == "host" || keyword == "hostaddr" || keyword == "port") continue;
            common_.emplace_back(keyword, option->val);
        }
        const auto add_default = [&](const char* keyword, const char* value) {
            if (value_of(keyword).empty()) common_.emplace_back(keyword, value);
        };
        add_default("fallback_application_name", "sluice");
    }

    const std::vector<Place>& places() const noexcept { return places_; }

    /// Begins to connect to one place; nullptr without memory.
    PGconn* start(const Place& place) const {
        std::vector<const char*> keywords{"host", "hostaddr", "port"};
        std::vector<const char*> values{place.host.c_str(), place.hostaddr.c_str(), place.port.c_str()};
        for (const auto& [keyword, value] : common_) {
            keywords.push_back(keyword.c_str());
            values.push_back(value.c_str());
        }
        // Of several servers only the one that takes writes will do; unless the string says otherwise, which comes later.
        if (places_.size() > 1) {
            keywords.insert(keywords.begin(), "target_session_attrs");
            values.insert(values.begin(), "read-write");
        }
        keywords.push_back(nullptr);
        values.push_back(nullptr);
        return PQconnectStartParams(keywords.data(), values.data(), 0);
    }

private:
    using Options = std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)>;

    static std::string find(const PQconninfoOption* options, std::string_view keyword) {
        for (const PQconninfoOption* option = options; option != nullptr && option->keyword != nullptr; ++option) {
            if (option->keyword == keyword && option->val != nullptr) return option->val;
        }
        return {};
    }
    static std::vector<std::string> split(const std::string& list) {
        std::vector<std::string> items(1);
        for (const char c : list) {
            if (c == ',') {
                items.emplace_back();
            } else {
                items.back() += c;
            }
        }
        return items;
    }

    std::vector<Place> places_;
    std::vector<std::pair<std::string, std::string>> common_;
};

}  // namespace sluice::detail::postgres

#endif
