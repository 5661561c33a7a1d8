// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_RULES_KEY_SOURCE_HPP
#define SLUICE_HTTP_RULES_KEY_SOURCE_HPP

#include <algorithm>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <sluice/http/asked.hpp>
#include <sluice/http/detail/text.hpp>

namespace sluice::http {

/// What of a request makes a limit's key. What a request does not have is counted by the address instead.
enum class KeyPart : std::uint8_t {
    address,  ///< the client's address, IPv6 cut to its prefix
    user,
    api_key,
    rule,  ///< the rule's name: where several rules share a limiter, each counts for itself
    host,
    method,
    header,  ///< this one and the next three: of a name, see KeySource
    query,
    cookie,
    path,
    function,
};

/// A part of a key: a KeyPart, or one with a name:
///
///     Limit{limiter, {KeyPart::address, KeySource::header("X-Tenant")}}
///
/// A header, a query or a cookie is what the client writes: one that invents values has a new bucket for each. Use it
/// where something that you trust has checked it, or beside a further limit by address. A value that is missing, or
/// there several times, is counted by the address.
class KeySource {
public:
    using Function = std::function<std::string(const Asked&)>;

    /// Throws std::invalid_argument for a part that needs a name.
    KeySource(KeyPart part) : part_(part) {
        if (part >= KeyPart::header) throw std::invalid_argument("sluice: this part of a key needs a name");
    }
    /// The value of a header, of a query's parameter, of a cookie, of a route's "{name}". These throw
    /// std::invalid_argument for a name that cannot be one.
    static KeySource header(std::string name) {
        std::transform(name.begin(), name.end(), name.begin(), detail::lower);  // headers' case does not count
        return {KeyPart::header, checked_token(std::move(name)), {}};
    }
    static KeySource query(std::string name) { return {KeyPart::query, checked(std::move(name)), {}}; }
    static KeySource cookie(std::string name) { return {KeyPart::cookie, checked_token(std::move(name)), {}}; }
    static KeySource path(std::string name) { return {KeyPart::path, checked_token(std::move(name)), {}}; }
    /// What `function` makes of a request; empty, or an exception, for the address. `name` tells it from other parts.
    /// Called by many threads at once.
    static KeySource function(std::string name, Function function) {
        if (!function) throw std::invalid_argument("sluice: key function '" + name + "' is empty");
        return {KeyPart::function, checked_token(std::move(name)), std::move(function)};
    }

    KeyPart part() const noexcept { return part_; }
    const std::string& name() const noexcept { return name_; }
    const Function& function() const noexcept { return function_; }

    /// Functions of one name are taken for one.
    friend bool operator==(const KeySource& a, const KeySource& b) noexcept {
        return a.part_ == b.part_ && a.name_ == b.name_;
    }

private:
    KeySource(KeyPart part, std::string name, Function function)
        : part_(part), name_(std::move(name)), function_(std::move(function)) {}

    static std::string checked(std::string name) {
        if (name.empty()) throw std::invalid_argument("sluice: a part of a key has an empty name");
        return name;
    }
    static std::string checked_token(std::string name) {
        if (name.empty() || !std::all_of(name.begin(), name.end(), detail::is_token_char)) {
            throw std::invalid_argument("sluice: '" + name + "' cannot be the name of a header, cookie or parameter");
        }
        return name;
    }

    KeyPart part_;
    std::string name_{};
    Function function_{};
};

}  // namespace sluice::http

#endif
