// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_RULES_CONDITION_HPP
#define SLUICE_HTTP_RULES_CONDITION_HPP

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/detail/exceptions.hpp>
#include <sluice/http/asked.hpp>
#include <sluice/http/detail/request_values.hpp>

namespace sluice::http {

/// A header or a query's parameter that a request must have: of this value, or of any. There several times: none of them.
struct NamedValue {
    std::string name;
    std::optional<std::string> value{};
};

/// What a rule wants of a request beside route and method. Hosts are names without a port, "*.example.com" those below it
/// too; empty lists want nothing.
struct Condition {
    std::vector<std::string> hosts{};
    std::vector<NamedValue> headers{};
    std::vector<NamedValue> query{};

    bool is_empty() const noexcept { return hosts.empty() && headers.empty() && query.empty(); }

    /// False where there is no memory to find out.
    bool holds(const Asked& asked) const noexcept {
        if (is_empty()) return true;
        return sluice::detail::try_or([&] { return holds_for(asked); }, [] { return false; });
    }

private:
    bool holds_for(const Asked& asked) const {
        if (!hosts.empty()) {
            const std::string host = detail::host_of(asked);
            if (std::none_of(hosts.begin(), hosts.end(), [&](const auto& wanted) { return is_host(wanted, host); })) {
                return false;
            }
        }
        const auto has_header = [&](const NamedValue& wanted) {
            const auto value = asked.header(wanted.name).only();
            return value && (!wanted.value || *wanted.value == detail::trimmed(*value));
        };
        const auto has_parameter = [&](const NamedValue& wanted) {
            const auto value = detail::query_value(asked.query, wanted.name);
            return value && (!wanted.value || *wanted.value == *value);
        };
        return std::all_of(headers.begin(), headers.end(), has_header) &&
               std::all_of(query.begin(), query.end(), has_parameter);
    }
    static bool is_host(std::string_view wanted, std::string_view host) noexcept {
        if (wanted.substr(0, 2) != "*.") return wanted == host;
        wanted.remove_prefix(1);
        return host.size() > wanted.size() && host.substr(host.size() - wanted.size()) == wanted;
    }
};

}  // namespace sluice::http

#endif
