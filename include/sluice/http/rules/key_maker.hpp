// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_RULES_KEY_MAKER_HPP
#define SLUICE_HTTP_RULES_KEY_MAKER_HPP

#include <optional>
#include <string>
#include <string_view>

#include <sluice/detail/exceptions.hpp>
#include <sluice/http/detail/request_values.hpp>
#include <sluice/http/rules/key.hpp>
#include <sluice/http/rules/rule.hpp>

namespace sluice::http::detail {

/// Makes the key of one limit for one request.
class KeyMaker {
public:
    KeyMaker(const Rule& rule, const Asked& asked) noexcept : rule_(rule), asked_(asked) {}

    /// Appends all parts. May throw std::bad_alloc where one is long.
    void append_to(Key& key, const Limit& limit) const {
        bool has_address = false;
        for (const KeySource& source : limit.key) {
            if (append(key, source) || has_address) continue;
            has_address = true;
            const auto& block = asked_.caller.block;
            key.add("ip", block ? std::string_view{block->text()} : std::string_view{"unknown"});
        }
    }

private:
    /// False where the address has to stand for the part.
    bool append(Key& key, const KeySource& source) const {
        const auto known = [&](std::string_view label, std::string_view value) {
            if (!value.empty()) key.add(label, value);
            return !value.empty();
        };
        const auto named = [&](const char* label, const std::optional<std::string>& value) {
            return value && !value->empty() && known(label + ('.' + source.name()), *value);
        };
        switch (source.part()) {
            case KeyPart::address: return false;
            case KeyPart::user: return known("user", asked_.caller.user);
            case KeyPart::api_key: return known("api_key", asked_.caller.api_key);
            case KeyPart::rule: return known("rule", rule_.name);
            case KeyPart::host: return known("host", host_of(asked_));
            case KeyPart::method: return known("method", asked_.method);
            case KeyPart::header: {
                const auto value = asked_.header(source.name()).only();
                return value && known("header." + source.name(), trimmed(*value));
            }
            case KeyPart::query: return named("query", query_value(asked_.query, source.name()));
            case KeyPart::cookie: return named("cookie", cookie_value(asked_, source.name()));
            case KeyPart::path: return named("path", path_value(source.name()));
            case KeyPart::function:
                return named("function", sluice::detail::try_or([&] { return source.function()(asked_); },
                                                                [] { return std::string{}; }));
        }
        return false;
    }
    std::optional<std::string> path_value(std::string_view name) const {
        const RoutePattern* route = rule_.route_of(asked_.path);
        const auto value = route == nullptr ? std::nullopt : route->parameter(asked_.path, name);
        if (!value) return std::nullopt;
        return asked_.path_is_decoded ? std::string{*value} : decoded(*value, false);
    }

    const Rule& rule_;
    const Asked& asked_;
};

}  // namespace sluice::http::detail

#endif
