// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_DENIAL_TEMPLATE_HPP
#define SLUICE_HTTP_DENIAL_TEMPLATE_HPP

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sluice/http/answer.hpp>
#include <sluice/http/headers.hpp>
#include <sluice/http/problem.hpp>

namespace sluice::http {

/// A denial's answer in one's own words:
///
///     DenialTemplate{"text/html; charset=utf-8", "<p>Too many requests. Come again in {retry_after} seconds.</p>"}
///
/// In the body {status}, {title}, {policy} (the name of the limit that binds), {limit}, {remaining} and {retry_after} (whole
/// seconds; "never" where waiting is useless) are replaced; other braces stay. Names are written as the content type wants
/// it: for JSON as inside of a string, for HTML and XML with entities. Immutable; usable by all threads.
class DenialTemplate {
public:
    /// Leaves everything as it is.
    DenialTemplate() = default;

    /// With `status`, that one takes the place of 429; what a failed store or a wrong request gets stays as it is. Throws
    /// std::invalid_argument for a status outside of 400 .. 599, a content type that is no header's value, and "{word}" that
    /// is none of the above.
    DenialTemplate(std::string content_type, std::string body, int status = 0)
        : content_type_(std::move(content_type)), body_(std::move(body)), status_(status) {
        if (status != 0 && (status < 400 || status > 599)) {
            throw std::invalid_argument("sluice: a denial's status must be from 400 to 599, not " +
                                        std::to_string(status));
        }
        const auto is_shown = [](char c) { return c >= ' ' && c <= '~'; };
        if (!std::all_of(content_type_.begin(), content_type_.end(), is_shown) ||
            (content_type_.empty() && !body_.empty())) {
            throw std::invalid_argument("sluice: a denial's body needs a content type of printable ASCII");
        }
        each_part([](std::string_view) {},
                  [](std::string_view name) {
                      if (std::find(names.begin(), names.end(), name) == names.end()) {
                          throw std::invalid_argument("sluice: a denial's body has no {" + std::string{name} + "}");
                      }
                  });
    }

    bool has_body() const noexcept { return !content_type_.empty(); }
    bool says_something() const noexcept { return has_body() || status_ != 0; }

    /// Puts what this says in the place of `denial`. May throw std::bad_alloc.
    void apply(std::span<const PolicyAnswer> answers, DenialBody& denial) const {
        if (status_ != 0 && denial.status == 429) denial.status = status_;
        if (!has_body()) return;
        std::string out;
        each_part([&](std::string_view text) { out += text; },
                  [&](std::string_view name) { out += value_of(name, answers, denial.status); });
        denial.content_type = content_type_;
        denial.content = std::move(out);
    }

private:
    static constexpr std::array<std::string_view, 6> names{"status",    "title",       "policy",
                                                           "remaining", "retry_after", "limit"};

    template <class Text, class Name>
    void each_part(Text text, Name name) const {
        for (std::string_view rest = body_; !rest.empty();) {
            const auto open = std::min(rest.find('{'), rest.size());
            text(rest.substr(0, open));
            rest.remove_prefix(open);
            const auto end = rest.find_first_not_of("abcdefghijklmnopqrstuvwxyz_", 1);
            if (end != std::string_view::npos && end > 1 && rest[end] == '}') {
                name(rest.substr(1, end - 1));
                rest.remove_prefix(end + 1);
            } else {
                text(rest.substr(0, 1));  // an ordinary brace
                rest.remove_prefix(std::min<std::size_t>(rest.size(), 1));
            }
        }
    }

    std::string value_of(std::string_view name, std::span<const PolicyAnswer> answers, int status) const {
        const PolicyAnswer* bound = binding(answers);
        if (name == "status") return std::to_string(status);
        if (name == "title") return status == 403 ? "Forbidden" : status < 500 ? "Too Many Requests" : "Unavailable";
        if (name == "policy") return escaped(bound == nullptr ? std::string_view{} : bound->name);
        if (name == "limit") return std::to_string(bound == nullptr ? 0 : bound->decision.limit);
        if (name == "remaining") return std::to_string(bound == nullptr ? 0 : bound->decision.remaining);
        const auto seconds = longest_retry(answers);
        return seconds ? std::to_string(*seconds) : "never";
    }

    std::string escaped(std::string_view text) const {
        const bool is_json = content_type_.find("json") != std::string::npos;
        const bool is_markup =
            content_type_.find("html") != std::string::npos || content_type_.find("xml") != std::string::npos;
        std::string out;
        for (const char c : text) {
            if (is_json && (c == '"' || c == '\\')) {
                out += '\\';
                out += c;
            } else if (is_markup && std::string_view{"<>&\"'"}.find(c) != std::string_view::npos) {
                out += "&#" + std::to_string(static_cast<int>(c)) + ';';
            } else {
                out += c;
            }
        }
        return out;
    }

    std::string content_type_{};
    std::string body_{};
    int status_ = 0;
};

}  // namespace sluice::http

#endif
