// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_DETAIL_CROW_MESSAGES_HPP
#define SLUICE_HTTP_DETAIL_CROW_MESSAGES_HPP

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include <sluice/detail/exceptions.hpp>
#include <sluice/http/adapter.hpp>
#include <sluice/http/detail/text.hpp>

// Crow's requests and responses, for CrowGuard.
namespace sluice::http::detail {

/// Empty without memory.
template <class Request>
std::string crow_method(const Request& request) noexcept {
    return sluice::detail::try_or([&] { return std::string{method_name(request.method)}; },
                                  [] { return std::string{}; });
}

/// The query as it came.
template <class Request>
std::string_view crow_query(const Request& request) noexcept {
    if constexpr (requires { request.raw_url; }) {
        return split_target(request.raw_url).second;
    } else {  // older versions keep it under another name
        return split_target(request.url).second;
    }
}

/// In the place of a header of that name. Crow hashes a name letter by letter through a locale, and twice to replace one; so
/// the few headers that are there are looked through instead.
template <class Response>
void set_on_crow(Response& response, const char* name, std::string value) {
    if constexpr (requires { response.add_header(name, value), response.headers.begin(); }) {
        const auto is_named = [&](const auto& line) { return equals_ignoring_case(line.first, name); };
        if (std::none_of(response.headers.begin(), response.headers.end(), is_named)) {
            return response.add_header(name, std::move(value));
        }
    }
    response.set_header(name, std::move(value));
}

template <class Response>
void put_crow_fields(const Answer& answer, Response& response) noexcept {
    put_fields(answer, [&](const char* name, std::string value) { set_on_crow(response, name, std::move(value)); });
}

template <class Response>
void deny_on_crow(const Answer& answer, Response& response) noexcept {
    const auto set = [&](const char* name, std::string value) { set_on_crow(response, name, std::move(value)); };
    response.code = answer.denial.status;
    put_denial(answer, set, response.body);
}

}  // namespace sluice::http::detail

#endif
