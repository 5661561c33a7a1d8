// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_HTTPLIB_HPP
#define SLUICE_HTTP_HTTPLIB_HPP

#include <string>
#include <type_traits>
#include <utility>

#include <sluice/http/adapter.hpp>
#include <sluice/http/detail/httplib_checks.hpp>
#include <sluice/http/httplib_hooks.hpp>

// Rate limiting for cpp-httplib, 0.10 to the newest. Templates over its members; httplib.h is not included here.
//
//     httplib::Server server;
//     const auto limiter = sluice::http::install(server, guard);              // every request
//     server.Post("/login", limiter.route("login", [](const httplib::Request&, httplib::Response&) { ... }));
//
// There is no need for the second line where the rules' routes say what is limited.
namespace sluice::http {

/// The guard of a cpp-httplib server, made by install(). `identify` maps a request to a Caller. Thread-safe; a call to a
/// slow store holds a thread of the server's pool.
template <class Server, class Identify = Anonymous>
class HttplibGuard {
public:
    explicit HttplibGuard(Guard guard, Identify identify = {}) : checks_(std::move(guard), std::move(identify)) {}

    /// The pre-routing handler alone, for servers that cannot use install(), and to be wrapped:
    ///
    ///     server.set_pre_routing_handler(sluice::http::HttplibGuard<httplib::Server>{guard});
    ///
    /// Without install()'s other part, an error handler or a wrapper that puts a body of its own into the denial of a
    /// request with a body leaves the connection open. What comes on it then is refused (400) and never served.
    template <class Request, class Response>
    typename Server::HandlerResponse operator()(const Request& request, Response& response) const noexcept {
        if (!checks_.admit(request, response)) return Server::HandlerResponse::Handled;
        if (const auto* record = detail::record_of(request)) detail::write_headers(*record, response);
        return Server::HandlerResponse::Unhandled;
    }

    /// What install() does.
    void install_in(Server& server, HttplibHooks<Server> hooks = {}) const {
        for (const auto& name : hooks.left_to_routes) checks_.check_name(name);
        server.set_pre_routing_handler([checks = checks_, hooks](const auto& request, auto& response) {
            if (!checks.admit(request, response, hooks)) return Server::HandlerResponse::Handled;
            return hooks.pre_routing ? hooks.pre_routing(request, response) : Server::HandlerResponse::Unhandled;
        });
        server.set_post_routing_handler([checks = checks_, hooks](const auto& request, auto& response) {
            const bool is_error = response.status >= 400;
            if (hooks.post_routing) hooks.post_routing(request, response);
            checks.finish(request, response, is_error);
        });
        server.set_expect_100_continue_handler([checks = checks_, hooks](const auto& request, auto& response) {
            return checks.admit(request, response, hooks) ? 100 : response.status;
        });
    }

    /// A handler of one route, called if the rules allow the request. With a rule's name that one applies, and no
    /// spelling of the path leads past it: cpp-httplib's patterns are regular expressions ("/v1.0/login" serves
    /// "/v1x0/login", too), of which a RoutePattern knows nothing. Throws std::invalid_argument if no rule has the name.
    ///
    ///     server.Post("/login", limiter.route("login", [](const httplib::Request&, httplib::Response&) { ... }));
    ///
    /// The body has been read by then, so mind set_payload_max_length; a `handler` that takes a ContentReader, too,
    /// leaves it to be read, and a denied one is drained up to GuardOptions::max_drained. Either way the answer reaches
    /// clients that write all before they read. A request that was charged before it was routed, to the rule that is
    /// named here, or to any if none is, is not charged again.
    template <class Handler>
    auto route(std::string rule, Handler handler) const {
        return checks_.template route<Server>(std::move(rule), std::move(handler));
    }
    template <class Handler>
    auto route(Handler handler) const {
        return route(std::string{}, std::move(handler));
    }

    /// What the rules said to a request, for handlers that refund, delay or log; null if they were not asked. Valid as
    /// long as the request.
    template <class Request>
    const Verdict* verdict(const Request& request) const noexcept {
        return detail::verdict_of(request);
    }

private:
    detail::HttplibChecks<Identify> checks_;
};

/// Checks every request of a server before it is routed, and so before its body is read, and writes the rate limit
/// headers into each answer. Unknown paths, HEAD and OPTIONS are checked, too.
///
///     const auto limiter = sluice::http::install(server, guard);
///
/// A denied request with a body ends its connection, whatever error, exception or other handlers put into the answer;
/// without a body it is kept alive. Sets the server's pre-routing, post-routing and expect-100-continue handlers, of
/// which it has one each: give yours as `hooks`. A wrapper around the returned guard may take the place of the
/// pre-routing handler; nothing may take that of the post-routing handler.
///
/// A rule is found by the decoded path. Where a pattern of cpp-httplib serves more paths than the rule's routes match,
/// name the rule in the route: HttplibGuard::route.
///
/// A client that writes all of an upload before it reads may not see why it was denied, since a connection that is
/// closed before all is read is reset. Of 20 denied uploads each over loop-back, Python's http.client saw 20 at 20 kB, 0
/// at 2 MB and 0 at 30 MB; httpx 20, 17 and 0. All of them saw it from a route: leave the rule to that
/// (HttplibHooks::left_to_routes), with a handler that takes a ContentReader.
template <class Server, class Identify = Anonymous>
HttplibGuard<Server, Identify> install(Server& server, Guard guard, Identify identify = {},
                                       HttplibHooks<std::type_identity_t<Server>> hooks = {}) {
    HttplibGuard<Server, Identify> installed{std::move(guard), std::move(identify)};
    installed.install_in(server, std::move(hooks));
    return installed;
}

}  // namespace sluice::http

#endif
