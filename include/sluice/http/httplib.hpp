// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_HTTPLIB_HPP
#define SLUICE_HTTP_HTTPLIB_HPP

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include <sluice/http/detail/adapter.hpp>
#include <sluice/http/guard.hpp>

// Rate limiting for cpp-httplib. Templates over its documented members; httplib.h is not included here.
namespace sluice::http {

namespace detail {

/// Whether the client may have sent a body with the request.
template <class Request>
bool announces_body(const Request& request) {
    if (request.has_header("Transfer-Encoding")) return true;
    const auto lengths = request.get_header_value_count("Content-Length");
    return lengths > 1 || (lengths == 1 && request.get_header_value("Content-Length") != "0");
}

template <class Response>
void write_headers(const Guard& guard, const Verdict& verdict, Response& response) {
    guard.write_headers(verdict, [&](const char* name, const std::string& value) { response.set_header(name, value); });
}

/// Answers a denied request, whose body, if it has one, has not been read. Then the connection must be closed, or the
/// body would be taken for the next request: whoever shares a connection through a proxy could have another's request
/// answered with one of his own making. A content provider that fails makes cpp-httplib close; "Connection: close"
/// does not. May throw std::bad_alloc.
template <class Request, class Response>
void deny(const Request& request, Response& response, const DenialBody& body) {
    // The server's own object, which is not const. A denial is no document to take a part of: some versions look for
    // the range that a client asks for in any response, and abort if it is not there.
    auto& mine = const_cast<Request&>(request);
    mine.ranges.clear();
    response.status = body.status;
    // cpp-httplib 0.10 takes a content type as const char* alone.
    if (!announces_body(request)) return response.set_content(body.content, std::string{body.content_type}.c_str());
    const bool is_head = request.method == "HEAD";
    if (is_head) mine.method = "GET";  // or the provider would not be called; it writes nothing, as HEAD wants it
    const auto content = std::make_shared<const std::string>(body.content);
    response.set_content_provider(content->size(), std::string{body.content_type}.c_str(),
                                  [content, is_head](std::size_t offset, std::size_t length, auto& sink) {
                                      if (!is_head) sink.write(content->data() + offset, length);
                                      return false;
                                  });
}

}  // namespace detail

/// Checks every request of a server before it is routed, and so before its body is read:
///
///     server.set_pre_routing_handler(sluice::http::HttplibGuard<httplib::Server>{guard});
///
/// Unknown paths, HEAD and OPTIONS are checked too. A denial of a request with a body closes the connection after the
/// answer; without a body it is kept alive. The rate limit headers stay unless a handler replaces the whole response.
/// A server has one pre-routing handler: to combine it with your own, call the guard in yours. `identify` maps a
/// request to a Caller. Thread-safe and noexcept; a call to a slow store holds a thread of the server's pool.
template <class Server, class Identify = Anonymous>
class HttplibGuard {
public:
    explicit HttplibGuard(Guard guard, Identify identify = {})
        : guard_(std::move(guard)), identify_(std::move(identify)) {}

    template <class Request, class Response>
    typename Server::HandlerResponse operator()(const Request& request, Response& response) const noexcept {
        const auto verdict = check(request);
        try {
            detail::write_headers(guard_, verdict, response);
            if (verdict.allowed()) return Server::HandlerResponse::Unhandled;
            detail::deny(request, response, guard_.denial(verdict));
        } catch (...) {  // no memory for a header or a body
            if (verdict.allowed()) return Server::HandlerResponse::Unhandled;
            response.status = 503;
        }
        return Server::HandlerResponse::Handled;
    }

    /// A handler of one route, for servers that limit only some: called if the rules allow the request. The body has
    /// been read by then, so mind set_payload_max_length.
    ///
    ///     server.Post("/login", limiter.route([](const httplib::Request&, httplib::Response&) { ... }));
    template <class Handler>
    auto route(Handler handler) const {
        return [guard = *this, handler = std::move(handler)](const auto& request, auto& response) {
            const auto verdict = guard.check(request);
            detail::write_headers(guard.guard_, verdict, response);
            if (verdict.allowed()) return static_cast<void>(handler(request, response));
            const auto body = guard.guard_.denial(verdict);
            response.status = body.status;
            response.set_content(body.content, std::string{body.content_type}.c_str());
        };
    }

private:
    /// remote_addr is the socket's; the header REMOTE_ADDR, which cpp-httplib adds, may be the client's own.
    template <class Request>
    Verdict check(const Request& request) const noexcept {
        const detail::HeaderLines forwarded{request.headers, guard_.address_header()};
        return guard_.check(request.method, request.path, request.remote_addr, forwarded.lines(),
                            detail::identified(identify_, request));
    }

    Guard guard_;
    Identify identify_;
};

}  // namespace sluice::http

#endif
