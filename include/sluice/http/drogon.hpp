// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_DROGON_HPP
#define SLUICE_HTTP_DROGON_HPP

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <sluice/http/adapter.hpp>
#include <sluice/http/detail/text.hpp>

// Rate limiting for Drogon. Templates over its members; Drogon's headers are not included here.
namespace sluice::http {

/// What the guard said to a request, for handlers; null if it was not asked.
template <class Request>
const Answer* drogon_answer(const Request& request) {
    const auto& kept = request->attributes()->template get<std::shared_ptr<const Answer>>("sluice");
    return kept.get();
}

/// Checks every request of an application before it is routed, and writes the rate limit fields into each answer:
///
///     sluice::http::install_in_drogon<drogon::HttpResponse>(drogon::app(), guard);
///
/// `identify` maps a drogon::HttpRequestPtr to a Caller. A request that a LeakyBucket paces waits in the event loop, which
/// holds no thread; a call to a slow store holds the loop. Drogon has read the whole body by then.
///
/// Drogon routes whatever the case of letters, so a rule is found by the path in small letters: write routes so. Of several
/// lines of one header it keeps the first: have a trusted proxy replace X-Forwarded-For or append to it, not add a line.
template <class Response, class App, class Identify = Anonymous>
void install_in_drogon(App& app, const Guard& guard, Identify identify = {}) {
    app.registerPreRoutingAdvice([&app, guard, identify](const auto& request, auto&& deny, auto&& pass) {
        const auto find = [&](std::string_view name, HeaderValues& values) {
            const std::string& value = request->getHeader(std::string{name});
            if (!value.empty()) values.add(value);
        };
        std::string path = request->path();
        std::transform(path.begin(), path.end(), path.begin(), detail::lower);
        const std::string peer = request->peerAddr().toIp();
        const auto answer = std::make_shared<const Answer>(guard.handle({.method = request->methodString(),
                                                                         .path = path,
                                                                         .peer = peer,
                                                                         .query = request->query(),
                                                                         .header = find,
                                                                         .caller = identified(identify, request),
                                                                         .body_size = request->bodyLength()}));
        request->attributes()->insert("sluice", answer);
        if (answer->allowed) {
            const std::chrono::duration<double> delay{answer->delay};
            if (delay.count() > 0) {
                app.getLoop()->runAfter(delay.count(), std::forward<decltype(pass)>(pass));
                return;
            }
            return pass();
        }
        auto response = Response::newHttpResponse();
        response->setStatusCode(static_cast<decltype(response->statusCode())>(answer->denial.status));
        response->setContentTypeString(answer->denial.content_type);
        response->setBody(answer->denial.content);
        deny(response);
    });
    app.registerPreSendingAdvice([](const auto& request, const auto& response) {
        const Answer* answer = drogon_answer(request);
        if (answer == nullptr) return;
        if (static_cast<int>(response->statusCode()) == 404) {
            // Drogon's own is one object for all requests of a thread: another client's fields may be in it.
            for (const char* name :
                 {"RateLimit", "RateLimit-Policy", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset",
                  "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"}) {
                response->removeHeader(name);
            }
        }
        answer->verdict.settle(static_cast<int>(response->statusCode()));
        put_fields(*answer, [&](const char* name, std::string value) { response->addHeader(name, std::move(value)); });
    });
}

}  // namespace sluice::http

#endif
