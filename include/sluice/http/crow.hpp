// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_CROW_HPP
#define SLUICE_HTTP_CROW_HPP

#include <optional>
#include <string>
#include <utility>

#include <sluice/http/adapter.hpp>
#include <sluice/http/detail/crow_messages.hpp>

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
/// Call app.tcp_nodelay(), which newer versions of Crow have: Crow writes an answer with more than three fields in two
/// pieces, and the second waits for the client's delayed acknowledgement of the first, 40 ms on a connection that is kept.
///
/// With several lines of X-Forwarded-For, whose order Crow does not keep, the peer is taken as the client.
template <class Base = CrowGlobal, class Identify = Anonymous>
class CrowGuard : public Base {
public:
    /// What is kept of a request between the two hooks.
    struct context {
        /// What the rules said to the request, for handlers that delay or log.
        const Verdict& verdict() const noexcept { return answer_.verdict; }

        /// Fills in the answer if the request was denied; for onaccept.
        template <class Response>
        void refuse(std::optional<Response>& response) const noexcept {
            if (answer_.allowed) return;
            response.emplace();
            detail::deny_on_crow(answer_, *response);
        }

    private:
        friend class CrowGuard;
        Answer answer_{};
        bool is_open_ = false;  // allowed, and its headers not written yet
    };

    explicit CrowGuard(Guard guard, Identify identify = {})
        : guard_(std::move(guard)), identify_(std::move(identify)) {}

    template <class Request, class Response, class Context>
    void before_handle(Request& request, Response& response, Context& mine) noexcept {
        const MapHeaders headers{request.headers};
        const std::string method = detail::crow_method(request);
        mine.answer_ = guard_.handle({.method = method,
                                      .path = request.url,
                                      .peer = request.remote_ip_address,
                                      .query = detail::crow_query(request),
                                      .header = headers,
                                      .caller = identified(identify_, request),
                                      .body_size = request.body.size()});
        mine.is_open_ = mine.answer_.allowed;
        hold(mine.answer_, guard_.options());
        if (mine.answer_.allowed) return;
        detail::deny_on_crow(mine.answer_, response);
        response.end();
    }

    /// Writes an allowed request's headers here, since Crow replaces the response when it calls a handler; in place of
    /// the handler's own, if it has set some. Only once, for Crow calls this hook without the other, on an old context,
    /// where it answers OPTIONS itself. A denial is kept for refuse(), which Crow asks for after this hook.
    template <class Request, class Response, class Context>
    void after_handle(Request&, Response& response, Context& mine) noexcept {
        if (!std::exchange(mine.is_open_, false)) return;
        mine.answer_.verdict.settle(response.code);
        detail::put_crow_fields(mine.answer_, response);
    }

private:
    Guard guard_;
    Identify identify_;
};

}  // namespace sluice::http

#endif
