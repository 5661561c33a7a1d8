// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_DETAIL_CROW_MESSAGES_HPP
#define SLUICE_HTTP_DETAIL_CROW_MESSAGES_HPP

#include <string>
#include <string_view>
#include <utility>

#include <sluice/detail/exceptions.hpp>
#include <sluice/http/adapter.hpp>

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

template <class Response>
void put_crow_fields(const Answer& answer, Response& response) noexcept {
    put_fields(answer, [&](const char* name, std::string value) { response.set_header(name, std::move(value)); });
}

template <class Response>
void deny_on_crow(const Answer& answer, Response& response) noexcept {
    const auto set = [&](const char* name, std::string value) { response.set_header(name, std::move(value)); };
    response.code = answer.denial.status;
    put_denial(answer, set, response.body);
}

}  // namespace sluice::http::detail

#endif
