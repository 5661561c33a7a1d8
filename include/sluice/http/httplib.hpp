// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_HTTPLIB_HPP
#define SLUICE_HTTP_HTTPLIB_HPP

#include <algorithm>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <sluice/http/adapter.hpp>
#include <sluice/http/detail/httplib_denial.hpp>
#include <sluice/http/detail/unread_body.hpp>

// Rate limiting for cpp-httplib, 0.10 to the newest. Templates over its members; httplib.h is not included here.
//
//     httplib::Server server;
//     const auto limiter = sluice::http::install(server, guard);              // every request
//     server.Post("/login", limiter.route("login", [](const httplib::Request&, httplib::Response&) { ... }));
//
// There is no need for the second line where the rules' routes say what is limited.
namespace sluice::http {

/// A server's own handlers beside the guard's, for install().
template <class Server>
struct HttplibHooks {
    typename Server::HandlerWithResponse pre_routing{};  ///< for each request that the guard allows
    typename Server::Handler post_routing{};             ///< for each answer, before the guard's headers are written
    typename Server::Handler denied{};                   ///< may replace a denial's status and body
    bool every_request = true;                           ///< false: only those of HttplibGuard::route are checked
    /// Names of rules that HttplibGuard::route alone checks: for uploads, whose denial is to wait for the body.
    std::vector<std::string> left_to_routes{};
};

/// The guard of a cpp-httplib server, made by install(). `identify` maps a request to a Caller. Thread-safe; a call to a
/// slow store holds a thread of the server's pool.
template <class Server, class Identify = Anonymous>
class HttplibGuard {
public:
    explicit HttplibGuard(Guard guard, Identify identify = {})
        : guard_(std::move(guard)), identify_(std::move(identify)) {}

    /// The pre-routing handler alone, for servers that cannot use install(), and to be wrapped:
    ///
    ///     server.set_pre_routing_handler(sluice::http::HttplibGuard<httplib::Server>{guard});
    ///
    /// Without install()'s other part, an error handler or a wrapper that puts a body of its own into the denial of a
    /// request with a body leaves the connection open. What comes on it then is refused (400) and never served.
    template <class Request, class Response>
    typename Server::HandlerResponse operator()(const Request& request, Response& response) const noexcept {
        if (!admit(request, response)) return Server::HandlerResponse::Handled;
        if (const auto* record = detail::record_of(request)) detail::write_headers(*record, response);
        return Server::HandlerResponse::Unhandled;
    }

    /// What install() does.
    void install_in(Server& server, HttplibHooks<Server> hooks = {}) const {
        for (const auto& name : hooks.left_to_routes) static_cast<void>(checked_rule(name));
        const auto admit = [guard = *this, hooks](const auto& request, auto& response) {
            const bool is_checked = hooks.every_request && !guard.is_of(hooks.left_to_routes, request);
            const bool allowed = is_checked ? guard.admit(request, response) : guard.pass_on(request, response);
            if (!allowed && hooks.denied) hooks.denied(request, response);
            return allowed;
        };
        server.set_pre_routing_handler([admit, hooks](const auto& request, auto& response) {
            if (!admit(request, response)) return Server::HandlerResponse::Handled;
            return hooks.pre_routing ? hooks.pre_routing(request, response) : Server::HandlerResponse::Unhandled;
        });
        server.set_post_routing_handler([guard = *this, hooks](const auto& request, auto& response) {
            const bool is_error = response.status >= 400;
            if (hooks.post_routing) hooks.post_routing(request, response);
            guard.finish(request, response, is_error);
        });
        server.set_expect_100_continue_handler(
            [admit](const auto& request, auto& response) { return admit(request, response) ? 100 : response.status; });
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
        if (!rule.empty()) static_cast<void>(checked_rule(rule));
        if constexpr (std::is_convertible_v<Handler, typename Server::HandlerWithContentReader>) {
            return typename Server::HandlerWithContentReader{
                [guard = *this, rule = std::move(rule), handler = std::move(handler)](
                    const auto& request, auto& response, const auto& reader) {
                    const auto& options = guard.guard_.options();
                    guard.serve(
                        rule, request, response, [&] { handler(request, response, reader); },
                        [&] { return detail::drain(request, reader, options.max_drained, options.max_drain_time); });
                }};
        } else {
            return typename Server::Handler{[guard = *this, rule = std::move(rule), handler = std::move(handler)](
                                                const auto& request, auto& response) {
                const auto& method = request.method;
                guard.serve(
                    rule, request, response, [&] { handler(request, response); },
                    [&] { return method == "POST" || method == "PUT" || method == "PATCH"; });
            }};
        }
    }
    template <class Handler>
    auto route(Handler handler) const {
        return route(std::string{}, std::move(handler));
    }

    /// What the rules said to a request, for handlers that refund, delay or log; null if they were not asked. Valid as
    /// long as the request.
    template <class Request>
    const Verdict* verdict(const Request& request) const noexcept {
        const auto* record = detail::record_of(request);
        return record == nullptr || !record->is_checked ? nullptr : &record->answer.verdict;
    }

private:
    /// Returns the name, or throws std::invalid_argument where no rule has it.
    const std::string& checked_rule(const std::string& name) const {
        const auto rules = guard_.rules().current();
        const Rule* rule = rules->named(name);
        if (rule == nullptr || rule->name != name) {
            throw std::invalid_argument("sluice: no rule has the name '" + name + "'");
        }
        return name;
    }

    /// Whether one of the named rules is that of the request's path.
    template <class Request>
    bool is_of(const std::vector<std::string>& names, const Request& request) const noexcept {
        if (names.empty()) return false;
        const auto rules = guard_.rules().current();
        const MapHeaders headers{request.headers};
        const Rule* rule = rules->find(asked(request, headers));
        return rule != nullptr && std::find(names.begin(), names.end(), rule->name) != names.end();
    }

    /// False where the bytes are what is left of the denied request before, which are then refused.
    template <class Request, class Response>
    bool is_request(const Request& request, Response& response) const noexcept {
        if (!detail::LeftOpen::of_this_thread().is_of(request)) return true;
        response.status = 400;
        try {
            auto& record = detail::keep(request, {.guard = guard_, .is_unread = true});
            record.answer.allowed = false;
            record.answer.denial = detail::bad_request();
            detail::deny(request, response, record);
        } catch (...) {  // no memory: the next is refused, too
        }
        return false;
    }

    /// Notes that the request has been read, and that its check is a route's affair.
    template <class Request, class Response>
    bool pass_on(const Request& request, Response& response) const noexcept {
        if (!is_request(request, response)) return false;
        try {
            if (detail::record_of(request) == nullptr) detail::keep(request, {.guard = guard_, .is_checked = false});
        } catch (...) {  // no memory: its connection ends if its answer is an error
        }
        return true;
    }

    /// Checks a request, once; false where it has been denied.
    template <class Request, class Response>
    bool admit(const Request& request, Response& response) const noexcept {
        if (!is_request(request, response)) return false;
        const auto* known = detail::record_of(request);
        if (known != nullptr && known->is_checked && known->guard == guard_) return known->answer.allowed;
        auto answer = ask(request, {});
        const bool allowed = answer.allowed;
        try {
            auto& record = detail::keep(request, {guard_, std::move(answer)});
            if (!allowed) deny(request, response, record, [] { return false; });
        } catch (...) {  // no memory for the record or a body
            if (allowed) return true;
            response.status = 503;
            if (detail::may_have_body(request)) detail::LeftOpen::of_this_thread().remember(request);
        }
        return allowed;
    }

    template <class Request, class Response, class Handle, class ReadBody>
    void serve(const std::string& rule, const Request& request, Response& response, Handle handle,
               ReadBody read_body) const {
        auto* record = detail::record_of(request);
        if (record == nullptr || !is_charged(*record, rule)) {
            record = &detail::keep(request, {guard_, ask(request, rule)});
        }
        if (!record->answer.allowed) return deny(request, response, *record, read_body);
        try {
            handle();
            record->answer.verdict.settle(response.status < 0 ? 200 : response.status);  // -1: not set yet
        } catch (...) {
            record->answer.verdict.settle(500);
            detail::write_headers(*record, response);
            throw;
        }
        // Behind the handler, which may have set such fields itself or put another response in the place of this one.
        detail::write_headers(*record, response);
    }

    bool is_charged(const detail::HttplibRecord& record, const std::string& rule) const {
        if (!record.is_checked || !(record.guard == guard_)) return false;
        if (rule.empty()) return true;
        const auto rules = guard_.rules().current();
        const Rule* named = rules->named(rule);
        const Rule* charged = record.answer.verdict.rule();
        return named != nullptr && charged != nullptr && charged->name == named->name;
    }

    /// `headers` has to live as long as the result.
    template <class Request, class Headers>
    static Asked asked(const Request& request, const Headers& headers) noexcept {
        // remote_addr is the socket's; the header REMOTE_ADDR, which cpp-httplib adds, may be the client's own.
        return {.method = request.method,
                .path = request.path,
                .peer = request.remote_addr,
                .query = split_target(request.target).second,
                .header = headers};
    }
    template <class Request>
    Answer ask(const Request& request, std::string_view rule) const noexcept {
        const MapHeaders headers{request.headers};
        Asked one = asked(request, headers);
        one.caller = identified(identify_, request);
        one.rule = rule;
        auto answer = guard_.handle(std::move(one));
        hold(answer, guard_.options());
        return answer;
    }

    template <class Request, class Response, class ReadBody>
    void deny(const Request& request, Response& response, detail::HttplibRecord& record, ReadBody read_body) const {
        record.is_unread = detail::may_have_body(request) && !read_body();
        detail::write_headers(record, response);
        detail::deny(request, response, record);
    }

    /// The last to touch the response.
    template <class Request, class Response>
    void finish(const Request& request, Response& response, bool is_error) const noexcept {
        auto* record = detail::record_of(request);
        try {
            if (record == nullptr) {
                // Answered before anybody was asked: it could not be read. Some versions go on reading behind it.
                if (!is_error) return;
                const bool is_head = request.method == "HEAD";
                if (is_head) const_cast<Request&>(request).method = "GET";
                return detail::close_after(response, is_head);
            }
            record->answer.verdict.settle(response.status);
            detail::write_headers(*record, response);
            if (!record->is_unread) return;
            if (response.body.empty()) {
                response.body = record->answer.denial.content;
                detail::set_header(response, "Content-Type", std::string{record->answer.denial.content_type});
                response.headers.erase("Content-Encoding");
            }
            detail::close_after(response, record->is_head);
            detail::LeftOpen::of_this_thread().forget();  // it ends now, be it that the answer cannot be written
        } catch (...) {  // no memory; if the connection stays open, what comes on it is refused
        }
    }

    Guard guard_;
    Identify identify_;
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
