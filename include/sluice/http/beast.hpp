// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_BEAST_HPP
#define SLUICE_HTTP_BEAST_HPP

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include <sluice/http/adapter.hpp>

// Rate limiting for Boost.Beast. Templates over its members; Beast's headers are not included here.
namespace sluice::http {

/// Checks the requests of a Beast server, which does its own reading and writing:
///
///     sluice::http::BeastGuard limiter{guard};
///     const Answer answer = limiter.check(request, peer);              // peer: remote_endpoint().address().to_string()
///     if (!answer.allowed) response = limiter.denial<Response>(answer, request);
///     if (answer.delay.count() > 0) ...                                // wait on a timer, which holds no thread
///     limiter.finish(answer, response);                                // into the handler's response
///
/// `identify` maps a request to a Caller. Thread-safe and noexcept where it says so; a call to a slow store holds the thread.
template <class Identify = Anonymous>
class BeastGuard {
public:
    explicit BeastGuard(Guard guard, Identify identify = {})
        : guard_(std::move(guard)), identify_(std::move(identify)) {}

    /// Of a request, or of its header alone, by the raw path: Beast decodes nothing.
    template <class Request>
    Answer check(const Request& request, std::string_view peer) const noexcept {
        const auto find = [&](std::string_view name, HeaderValues& values) {
            auto [line, last] = request.equal_range({name.data(), name.size()});
            for (; line != last; ++line) values.add(view(line->value()));
        };
        const auto [path, query] = split_target(view(request.target()));
        return guard_.handle({.method = view(request.method_string()),
                              .path = path,
                              .peer = peer,
                              .query = query,
                              .header = find,
                              .caller = identified(identify_, request),
                              .path_is_decoded = false});
    }

    /// The answer to a denied request; Response has a string as its body. Where the body of the request has not been read
    /// (`is_read` false), the connection ends with it. May throw std::bad_alloc.
    template <class Response, class Request>
    static Response denial(const Answer& answer, const Request& request, bool is_read = true) {
        Response response;
        response.version(request.version());
        response.result(static_cast<unsigned>(answer.denial.status));
        response.set("Content-Type", answer.denial.content_type);
        response.keep_alive(is_read && request.keep_alive());
        const std::size_t size = answer.denial.content.size();
        if (view(request.method_string()) != "HEAD") response.body() = answer.denial.content;
        response.content_length(size);
        finish(answer, response);
        return response;
    }

    /// Puts the rate limit fields into a response, in the place of its own, and settles what counts by outcome.
    template <class Response>
    static void finish(const Answer& answer, Response& response) noexcept {
        answer.verdict.settle(static_cast<int>(response.result_int()));
        put_fields(answer, [&](const char* name, std::string_view value) {
            response.set(name, {value.data(), value.size()});
        });
    }

    const Guard& guard() const noexcept { return guard_; }

private:
    /// Of Beast's own kind of view.
    template <class View>
    static std::string_view view(const View& text) noexcept {
        return {text.data(), text.size()};
    }

    Guard guard_;
    Identify identify_;
};

}  // namespace sluice::http

#endif
