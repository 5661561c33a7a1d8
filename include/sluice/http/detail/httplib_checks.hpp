// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_DETAIL_HTTPLIB_CHECKS_HPP
#define SLUICE_HTTP_DETAIL_HTTPLIB_CHECKS_HPP

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

namespace sluice::http::detail {

/// What the handlers of a cpp-httplib server do, for HttplibGuard. Copies share the guard.
template <class Identify>
class HttplibChecks {
public:
    HttplibChecks(Guard guard, Identify identify) : guard_(std::move(guard)), identify_(std::move(identify)) {}

    /// Throws std::invalid_argument where no rule has the name.
    void check_name(const std::string& name) const {
        const auto rules = guard_.rules().current();
        const Rule* rule = rules->named(name);
        if (rule == nullptr || rule->name != name) {
            throw std::invalid_argument("sluice: no rule has the name '" + name + "'");
        }
    }

    /// Checks a request, once; false where it has been denied.
    template <class Request, class Response>
    bool admit(const Request& request, Response& response) const noexcept {
        if (!is_request(request, response)) return false;
        const auto* known = record_of(request);
        if (known != nullptr && known->is_checked && known->guard == guard_) return known->answer.allowed;
        HttplibRecord* record = sluice::detail::try_or([&] { return &keep(request, guard_); },
                                                       [] { return static_cast<HttplibRecord*>(nullptr); });
        Answer unkept;
        Answer& answer = record != nullptr ? record->answer : unkept;
        ask(request, {}, answer);
        if (record != nullptr) record->is_checked = true;
        if (answer.allowed) return true;
        const auto explain = [&] {
            if (record != nullptr) deny(request, response, *record, [] { return false; });
            return record != nullptr;
        };
        if (!sluice::detail::try_or(explain, [] { return false; })) {  // no memory for the record or a body
            response.status = 503;
            if (may_have_body(request)) LeftOpen::of_this_thread().remember(request);
        }
        return false;
    }

    /// The same as a server's hooks want it.
    template <class Request, class Response, class Hooks>
    bool admit(const Request& request, Response& response, const Hooks& hooks) const {
        const bool is_checked = hooks.every_request && !is_of(hooks.left_to_routes, request);
        const bool allowed = is_checked ? admit(request, response) : pass_on(request, response);
        if (!allowed && hooks.denied) hooks.denied(request, response);
        return allowed;
    }

    /// A handler of one route, which checks requests by the rule of that name, or by any if it is empty.
    template <class Server, class Handler>
    auto route(std::string rule, Handler handler) const {
        if (!rule.empty()) check_name(rule);
        using WithReader = typename Server::HandlerWithContentReader;
        if constexpr (std::is_convertible_v<Handler, WithReader>) {
            return WithReader{[checks = *this, rule = std::move(rule), handler = std::move(handler)](
                                  const auto& request, auto& response, const auto& reader) {
                const auto& options = checks.guard_.options();
                checks.serve(
                    rule, request, response, [&] { handler(request, response, reader); },
                    [&] { return drain(request, reader, options.max_drained, options.max_drain_time); });
            }};
        } else {
            return typename Server::Handler{[checks = *this, rule = std::move(rule), handler = std::move(handler)](
                                                const auto& request, auto& response) {
                const auto& method = request.method;
                checks.serve(
                    rule, request, response, [&] { handler(request, response); },
                    [&] { return method == "POST" || method == "PUT" || method == "PATCH"; });
            }};
        }
    }

    /// The last to touch the response.
    template <class Request, class Response>
    void finish(const Request& request, Response& response, bool is_error) const noexcept {
        auto* record = record_of(request);
        try {
            if (record == nullptr) {
                // Answered before anybody was asked: it could not be read. Some versions go on reading behind it.
                if (!is_error) return;
                const bool is_head = request.method == "HEAD";
                if (is_head) const_cast<Request&>(request).method = "GET";
                return close_after(response, is_head);
            }
            record->answer.verdict.settle(response.status);
            write_headers(*record, response);
            if (!record->is_unread) return;
            if (response.body.empty()) {
                response.body = record->answer.denial.content;
                set_header(response, "Content-Type", record->answer.denial.content_type);
                response.headers.erase("Content-Encoding");
            }
            close_after(response, record->is_head);
            LeftOpen::of_this_thread().forget();  // it ends now, be it that the answer cannot be written
        } catch (...) {  // no memory; if the connection stays open, what comes on it is refused
        }
    }

private:
    /// Whether one of the named rules is that of the request's path.
    template <class Request>
    bool is_of(const std::vector<std::string>& names, const Request& request) const noexcept {
        if (names.empty()) return false;
        const auto rules = guard_.rules().current();
        const MapHeaders headers{request.headers};
        const Rule* rule = rules->find(asked(request, headers, Anonymous{}, {}));
        return rule != nullptr && std::find(names.begin(), names.end(), rule->name) != names.end();
    }

    /// False where the bytes are what is left of the denied request before, which are then refused.
    template <class Request, class Response>
    bool is_request(const Request& request, Response& response) const noexcept {
        if (!LeftOpen::of_this_thread().is_of(request)) return true;
        response.status = 400;
        try {
            auto& record = keep(request, guard_);
            record.is_checked = true;
            record.is_unread = true;
            record.answer.allowed = false;
            record.answer.denial = bad_request();
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
            if (record_of(request) == nullptr) keep(request, guard_);
        } catch (...) {  // no memory: its connection ends if its answer is an error
        }
        return true;
    }

    /// Calls handle() if the rules allow the request, by the named rule if one is; else answers, after read_body(), which
    /// says whether nothing of the body is left.
    template <class Request, class Response, class Handle, class ReadBody>
    void serve(const std::string& rule, const Request& request, Response& response, Handle handle,
               ReadBody read_body) const {
        auto* record = record_of(request);
        if (record == nullptr || !is_charged(*record, rule)) {
            record = &keep(request, guard_);
            ask(request, rule, record->answer);
            record->is_checked = true;
        }
        if (!record->answer.allowed) return deny(request, response, *record, read_body);
        try {
            handle();
            record->answer.verdict.settle(response.status < 0 ? 200 : response.status);  // -1: not set yet
        } catch (...) {
            record->answer.verdict.settle(500);
            write_headers(*record, response);
            throw;
        }
        // Behind the handler, which may have set such fields itself or put another response in the place of this one.
        write_headers(*record, response);
    }

    bool is_charged(const HttplibRecord& record, const std::string& rule) const {
        if (!record.is_checked || !(record.guard == guard_)) return false;
        if (rule.empty()) return true;
        const auto rules = guard_.rules().current();
        const Rule* named = rules->named(rule);
        const Rule* charged = record.answer.verdict.rule();
        return named != nullptr && charged != nullptr && charged->name == named->name;
    }

    /// `headers` has to live as long as the result.
    template <class Request, class Headers, class Who>
    static Asked asked(const Request& request, const Headers& headers, const Who& identify,
                       std::string_view rule) noexcept {
        // remote_addr is the socket's; the header REMOTE_ADDR, which cpp-httplib adds, may be the client's own.
        return {.method = request.method,
                .path = request.path,
                .peer = request.remote_addr,
                .query = split_target(request.target).second,
                .header = headers,
                .caller = identified(identify, request),
                .rule = rule};
    }
    template <class Request>
    void ask(const Request& request, std::string_view rule, Answer& answer) const noexcept {
        const MapHeaders headers{request.headers};
        guard_.handle(asked(request, headers, identify_, rule), answer);
        hold(answer, guard_.options());
    }

    template <class Request, class Response, class ReadBody>
    void deny(const Request& request, Response& response, HttplibRecord& record, ReadBody read_body) const {
        record.is_unread = may_have_body(request) && !read_body();
        write_headers(record, response);
        detail::deny(request, response, record);
    }

    Guard guard_;
    Identify identify_;
};

}  // namespace sluice::http::detail

#endif
