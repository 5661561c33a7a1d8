// SPDX-License-Identifier: MIT
//
// The demo service on Drogon: its routes behind a guard. Drogon has one application in a program, so its metrics are on the
// same port: in a real service let no stranger reach /metrics.
#include <functional>
#include <iostream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include <drogon/drogon.h>

#include <sluice/http/drogon.hpp>

#include "demo/service.hpp"

namespace {

using drogon::HttpRequestPtr;
using drogon::HttpResponse;
using drogon::HttpResponsePtr;
using Send = std::function<void(const HttpResponsePtr&)>;

struct ByApiKey {
    sluice::http::Caller operator()(const HttpRequestPtr& request) const {
        return demo::caller_of(request->getHeader("X-API-Key"));
    }
};

HttpResponsePtr answer(drogon::HttpStatusCode status, std::string_view type, std::string_view body) {
    auto response = HttpResponse::newHttpResponse();
    response->setStatusCode(status);
    response->setContentTypeString(std::string{type});
    response->setBody(std::string{body});
    return response;
}

/// Answers with what `make` makes.
template <class Make>
void route(const std::string& path, drogon::HttpMethod method, Make make) {
    drogon::app().registerHandler(path, [make](const HttpRequestPtr&, Send&& send) { send(make()); }, {method});
}

int serve(const demo::Options& options) {
    const auto signals = demo::hold_signals();
    demo::Service service{options};
    auto& app = drogon::app();
    sluice::http::install_in_drogon<HttpResponse>(app, service.guard(), ByApiKey{});

    constexpr std::string_view json = "application/json";
    route("/", drogon::Get, [] {
        auto response = answer(drogon::k200OK, "text/html; charset=utf-8", demo::page);
        response->addHeader("Content-Security-Policy", demo::page_policy);
        return response;
    });
    route("/README.md", drogon::Get, [] { return answer(drogon::k200OK, "text/plain; charset=utf-8", demo::readme); });
    route("/debug", drogon::Get, [&service, json] { return answer(drogon::k200OK, json, service.debug()); });
    route("/metrics", drogon::Get,
          [&service] { return answer(drogon::k200OK, sluice::metrics::prometheus_content_type, service.metrics()); });
    for (const auto& one : demo::routes) {
        route(std::string{one.path}, drogon::Get, [&one, json] { return answer(drogon::k200OK, json, one.answer); });
    }
    route("/login", drogon::Post, [json] { return answer(drogon::k401Unauthorized, json, demo::login_answer); });

    app.setLogLevel(trantor::Logger::kError);
    app.addListener(demo::address, static_cast<std::uint16_t>(options.port)).setThreadNum(2).disableSigtermHandling();
    app.registerBeginningAdvice([&app] {
        std::cout << "Listening on http://" << demo::address << ':' << app.getListeners().at(0).toPort() << std::endl;
    });
    std::thread stops{[&] {
        demo::wait_until_stopped(signals, service);
        app.getLoop()->queueInLoop([&app] { app.quit(); });
    }};
    app.run();
    stops.join();
    return 0;
}

}  // namespace

int main(int argc, char* argv[]) { return demo::run(argc, argv, serve); }
