// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_RULES_ROUTE_PATTERN_HPP
#define SLUICE_HTTP_RULES_ROUTE_PATTERN_HPP

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <sluice/http/detail/text.hpp>

namespace sluice::http {

/// The path of a request's target, "/a" of "/a?b=1": for servers that hand out the target as it came. Never for a path
/// that a server has decoded: cut at a '?' that a client wrote as "%3F" it would be another route's.
constexpr std::string_view path_of(std::string_view target) noexcept {
    return target.substr(0, std::min(target.find('?'), target.find('#')));
}

/// A path with places for variable segments: "/users/*/posts" or "/users/{id}/posts" (one segment, with a name for
/// KeySource::path), "/static/**" (any rest, also none).
/// Compares bytes: letters' case counts, nothing is decoded, "/a", "/a/" and "//a" are three paths. Where a
/// server's own matcher takes more than this one (regular expressions, letters' case, a final slash), a path that it
/// serves by a route may have another rule: such servers name the rule in the route, see the adapter.
class RoutePattern {
public:
    /// Throws std::invalid_argument unless it starts with '/', has no '?' or '#', stars stand alone, "**" last, and
    /// braces enclose a whole segment, each name once.
    explicit RoutePattern(std::string pattern)
        : pattern_(std::move(pattern)), has_variables_(pattern_.find_first_of("*{") != std::string::npos) {
        if (pattern_.empty() || pattern_.front() != '/') refuse("must start with '/'");
        if (pattern_.find_first_of("?#") != std::string::npos) refuse("must not hold '?' or '#'");
        std::string_view rest = pattern_;
        while (!rest.empty()) {
            const auto segment = next(rest);
            if (segment.find_first_of("{}") != std::string_view::npos) {
                if (!is_name(name_of(segment))) refuse("braces stand around a name, which is a whole segment");
                if (pattern_.find('/' + std::string{segment}) != pattern_.size() - rest.size() - segment.size() - 1) {
                    refuse("has a name twice");
                }
                continue;
            }
            if (segment.find('*') == std::string_view::npos || segment == "*") continue;
            if (segment != "**" || !rest.empty()) refuse("a star stands for a whole segment, and \"**\" for the rest");
        }
    }

    const std::string& text() const noexcept { return pattern_; }

    /// Whether `path` matches: the path as the server routes it, so without its query (see path_of). A '?' or '#' in
    /// it was written "%3F" or "%23" and is a letter like any other. Linear in the path.
    bool matches(std::string_view path) const noexcept {
        return has_variables_ ? matches_segments(path) : path == pattern_;
    }

    /// What stands in `path`, which this matches, in the place of "{name}"; nothing if there is no such name.
    std::optional<std::string_view> parameter(std::string_view path, std::string_view name) const noexcept {
        for (std::string_view pattern = pattern_; !pattern.empty() && !path.empty();) {
            const auto wanted = next(pattern);
            const auto segment = next(path);
            if (!name.empty() && name_of(wanted) == name) return segment;
        }
        return std::nullopt;
    }
    bool has_parameter(std::string_view name) const noexcept {
        for (std::string_view pattern = pattern_; !pattern.empty();) {
            if (name_of(next(pattern)) == name && !name.empty()) return true;
        }
        return false;
    }
    /// Whether it matches more than one path.
    bool has_variables() const noexcept { return has_variables_; }

    /// Whether this matches all paths that `other` matches.
    bool covers(const RoutePattern& other) const noexcept {
        std::string_view pattern = pattern_;
        std::string_view rest = other.pattern_;
        while (!pattern.empty()) {
            const auto wanted = next(pattern);
            if (wanted == "**") return true;
            if (rest.empty()) return false;
            const auto segment = next(rest);
            if (is_variable(wanted) ? segment.empty() || segment == "**" : segment != wanted) return false;
        }
        return rest.empty();
    }

private:
    bool matches_segments(std::string_view path) const noexcept {
        if (path.empty() || path.front() != '/') return false;  // "OPTIONS *"
        std::string_view pattern = pattern_;
        while (!pattern.empty()) {
            const auto wanted = next(pattern);
            if (wanted == "**") return true;
            if (path.empty()) return false;
            const auto segment = next(path);
            if (is_variable(wanted) ? segment.empty() : segment != wanted) return false;
        }
        return path.empty();
    }
    /// Takes "/segment" off the front.
    static std::string_view next(std::string_view& rest) noexcept {
        rest.remove_prefix(1);
        const auto segment = rest.substr(0, rest.find('/'));
        rest.remove_prefix(segment.size());
        return segment;
    }
    /// "id" of "{id}"; empty for other segments.
    static std::string_view name_of(std::string_view segment) noexcept {
        if (!segment.starts_with('{') || !segment.ends_with('}')) return {};
        return segment.substr(1, segment.size() - 2);
    }
    static bool is_name(std::string_view name) noexcept {
        return !name.empty() && std::all_of(name.begin(), name.end(), detail::is_token_char) &&
               name.find_first_of("*{}") == std::string_view::npos;
    }
    static bool is_variable(std::string_view segment) noexcept { return segment == "*" || !name_of(segment).empty(); }
    [[noreturn]] void refuse(const char* why) const {
        throw std::invalid_argument("sluice: route '" + pattern_ + "': " + why);
    }

    std::string pattern_;
    bool has_variables_;
};

}  // namespace sluice::http

#endif
