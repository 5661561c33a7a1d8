// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_CROW_HPP
#define SLUICE_HTTP_CROW_HPP

#include <optional>
#include <string>
#include <utility>

#include <sluice/http/detail/adapter.hpp>
#include <sluice/http/guard.hpp>

// Rate limiting for Crow. Templates over its documented members; crow.h is not included here.
namespace sluice::http {

/// The base of a CrowGuard that checks every request; crow::ILocalMiddleware makes one for chosen routes.
struct CrowGlobal {};

/// A Crow middleware that checks requests before they are handled:
///
///     using Limiter = sluice::http::CrowGuard<>;
///     crow::App<Limiter> app{Limiter{guard}};
///
/// or, with `using Limiter = sluice::http::CrowGuard<crow::ILocalMiddleware>`, only for routes with
/// CROW_MIDDLEWARES(app, Limiter). `identify` maps a request to a Caller. Unknown paths and HEAD are checked too;
/// the OPTIONS that Crow answers itself are not, for it asks no middleware. Crow has read the whole body by then, so a
/// denial leaves the connection usable and reaches clients that write all before they read. Thread-safe and noexcept;
/// a call to a slow store holds one of Crow's threads with all its connections, and so does GuardOptions::max_hold:
/// an asynchronous handler may mind Verdict::delay() instead.
///
/// Crow goes on with a websocket's upgrade whatever a middleware says, so a websocket route has to refuse it itself:
///
///     CROW_WEBSOCKET_ROUTE(app, "/ws").onaccept(
///         [&](const crow::request& request, std::optional<crow::response>& response, void**) {
///             app.get_context<Limiter>(request).refuse(response);
///         });
///
/// With several lines of X-Forwarded-For, whose order Crow does not keep, the peer is taken as the client.
template <class Base = CrowGlobal, class Identify = Anonymous>
class CrowGuard : public Base {
public:
    /// What is kept of a request between the two hooks.
    struct context {
        /// What the rules said to the request, for handlers that refund, delay or log.
        const Verdict& verdict() const noexcept { return verdict_; }

        /// Fills in the answer if the request was denied; for onaccept.
        template <class Response>
        void refuse(std::optional<Response>& response) const noexcept {
            if (guard_ == nullptr || verdict_.allowed()) return;
            response.emplace();
            guard_->deny(verdict_, *response);
        }

    private:
        friend class CrowGuard;
        const CrowGuard* guard_ = nullptr;  // of an allowed request: until its headers are written
        Verdict verdict_{};
    };

    explicit CrowGuard(Guard guard, Identify identify = {})
        : guard_(std::move(guard)), identify_(std::move(identify)) {}

    template <class Request, class Response, class Context>
    void before_handle(Request& request, Response& response, Context& mine) noexcept {
        mine.verdict_ = check(request);
        mine.guard_ = this;
        detail::hold(mine.verdict_, guard_.options());
        if (mine.verdict_.allowed()) return;
        deny(mine.verdict_, response);
        response.end();
    }

    /// Writes an allowed request's headers here, since Crow replaces the response when it calls a handler; in place of
    /// the handler's own, if it has set some. Only once,
    /// for Crow calls this hook without the other, on an old context, where it answers OPTIONS itself. A denial is kept
    /// for refuse(), which Crow asks for after this hook.
    template <class Request, class Response, class Context>
    void after_handle(Request&, Response& response, Context& mine) noexcept {
        if (mine.guard_ == nullptr || !mine.verdict_.allowed()) return;
        mine.guard_ = nullptr;
        write_headers(mine.verdict_, response);
    }

private:
    template <class Request>
    Verdict check(const Request& request) const noexcept {
        try {
            const detail::HeaderLines forwarded{request.headers, guard_.address_header()};
            return guard_.check(method_name(request.method), request.url, request.remote_ip_address, forwarded.lines(),
                                detail::identified(identify_, request));
        } catch (...) {  // no memory for the method's name
            return {};
        }
    }

    template <class Response>
    void deny(const Verdict& verdict, Response& response) const noexcept {
        response.code = 429;
        write_headers(verdict, response);
        try {
            auto body = guard_.denial(verdict);
            response.code = body.status;
            response.set_header("Content-Type", std::string{body.content_type});
            response.body = std::move(body.content);
        } catch (...) {  // no memory: a denial without an explanation
        }
    }

    template <class Response>
    void write_headers(const Verdict& verdict, Response& response) const noexcept {
        try {
            guard_.write_headers(
                verdict, [&](const char* name, std::string value) { response.set_header(name, std::move(value)); });
        } catch (...) {  // no memory for a header: the answer is worth more
        }
    }

    Guard guard_;
    Identify identify_;
};

}  // namespace sluice::http

#endif
