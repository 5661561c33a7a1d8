// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_DETAIL_BEAST_MESSAGES_HPP
#define SLUICE_HTTP_DETAIL_BEAST_MESSAGES_HPP

#include <string_view>

#include <sluice/http/adapter.hpp>

// Beast's requests, for BeastGuard.
namespace sluice::http::detail {

/// Of Beast's own kind of view.
template <class View>
std::string_view beast_view(const View& text) noexcept {
    return {text.data(), text.size()};
}

/// A HeaderLookup's callable.
template <class Request>
class BeastHeaders {
public:
    explicit BeastHeaders(const Request& request) noexcept : request_(request) {}

    void operator()(std::string_view name, HeaderValues& values) const {
        auto [line, last] = request_.equal_range({name.data(), name.size()});
        for (; line != last; ++line) values.add(beast_view(line->value()));
    }

private:
    const Request& request_;
};

/// By the raw path: Beast decodes nothing. All arguments have to live as long as the result.
template <class Request>
Asked asked_on_beast(const Request& request, std::string_view peer, const BeastHeaders<Request>& headers) noexcept {
    const auto [path, query] = split_target(beast_view(request.target()));
    return {.method = beast_view(request.method_string()),
            .path = path,
            .peer = peer,
            .query = query,
            .header = headers,
            .path_is_decoded = false};
}

}  // namespace sluice::http::detail

#endif
