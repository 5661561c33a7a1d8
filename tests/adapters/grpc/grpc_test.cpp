// SPDX-License-Identifier: MIT
#include "support/catch.hpp"

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <grpcpp/grpcpp.h>

#include <sluice/grpc/server_limiter.hpp>
#include <sluice/http/json/rules.hpp>
#include <sluice/sluice.hpp>

#include "echo.grpc.pb.h"

using namespace sluice::http;
using sluice::test::Echo;
using sluice::test::Text;

namespace {

constexpr const char* rules = R"({"rules":[
    {"name":"free","routes":["/sluice.test.Echo/Free"]},
    {"name":"login","routes":["/sluice.test.Echo/Login"],
     "limits":[{"name":"login","count":"failures","policy":{"kind":"token_bucket","capacity":1,"refill":"1/h"}}]},
    {"name":"count","routes":["/sluice.test.Echo/Count"],
     "limits":[{"name":"count","policy":{"kind":"token_bucket","capacity":1,"refill":"1/h"}}]},
    {"name":"echo","routes":["/sluice.test.Echo/*"],
     "limits":[{"name":"calls","key":["user"],"policy":{"kind":"fixed_window","limit":2,"window":"365d"}},
               {"name":"tenant","key":[{"header":"X-Tenant"}],"policy":{"kind":"token_bucket","capacity":3,"refill":"1/h"}}]}],
  "deny":{"networks":["203.0.113.0/24"]}})";

struct ByToken {
    Caller operator()(const grpc::ServerContextBase& context) const {
        const auto token = context.client_metadata().find("token");
        if (token == context.client_metadata().end()) return {};
        return {.user = std::string{token->second.data(), token->second.size()}};
    }
};

class Service final : public Echo::Service {
public:
    grpc::Status Say(grpc::ServerContext* context, const Text* request, Text* reply) override {
        if (sluice::is_denied(*context)) return grpc::Status::CANCELLED;
        ++handled;
        reply->set_text(request->text());
        return grpc::Status::OK;
    }
    grpc::Status Count(grpc::ServerContext* context, const Text*, grpc::ServerWriter<Text>* writer) override {
        if (sluice::is_denied(*context)) return grpc::Status::CANCELLED;
        for (int i = 0; i < 3; ++i) writer->Write({});
        return grpc::Status::OK;
    }
    grpc::Status Login(grpc::ServerContext* context, const Text* request, Text*) override {
        if (sluice::is_denied(*context)) return grpc::Status::CANCELLED;
        return request->text() == "good" ? grpc::Status::OK : grpc::Status{grpc::StatusCode::UNAUTHENTICATED, "?"};
    }
    grpc::Status Free(grpc::ServerContext*, const Text*, Text*) override { return grpc::Status::OK; }

    std::atomic<int> handled{0};
};

class LoopbackServer {
public:
    explicit LoopbackServer(GuardOptions options = {.headers = {HeaderStyle::both}}) {
        grpc::ServerBuilder builder;
        int port = 0;
        builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
        builder.RegisterService(&service);
        std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> creators;
        Guard guard{parse_rules(rules, "rules", MemoryLimiters{}), std::move(options)};
        creators.push_back(std::make_unique<sluice::GrpcLimiter<ByToken>>(std::move(guard)));
        builder.experimental().SetInterceptorCreators(std::move(creators));
        server_ = builder.BuildAndStart();
        stub =
            Echo::NewStub(grpc::CreateChannel("127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials()));
    }
    ~LoopbackServer() { server_->Shutdown(); }

    Service service;
    std::unique_ptr<Echo::Stub> stub;

private:
    std::unique_ptr<grpc::Server> server_;
};

struct Result {
    grpc::Status status;
    std::map<std::string, std::string> fields;
    std::string text;
};

Result say(LoopbackServer& server, const std::map<std::string, std::string>& metadata = {}) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds{10});
    for (const auto& [name, value] : metadata) context.AddMetadata(name, value);
    Text request, reply;
    request.set_text("hello");
    Result result;
    result.status = server.stub->Say(&context, request, &reply);
    for (const auto& [name, value] : context.GetServerInitialMetadata()) {
        result.fields[{name.data(), name.size()}] = {value.data(), value.size()};
    }
    result.text = reply.text();
    return result;
}

template <class Message>
Message detail_of(const grpc::Status& status, const std::string& type) {
    sluice::test::Status details;
    REQUIRE(details.ParseFromString(status.error_details()));
    CHECK(details.code() == static_cast<int>(status.error_code()));
    CHECK(details.message() == status.error_message());
    for (const auto& any : details.details()) {
        if (any.type_url() != "type.googleapis.com/google.rpc." + type) continue;
        Message message;
        REQUIRE(message.ParseFromString(any.value()));
        return message;
    }
    throw std::runtime_error{"no " + type};
}

}  // namespace

TEST_CASE("grpc: calls tell the limit as metadata, denials are RESOURCE_EXHAUSTED with RetryInfo", "[grpc]") {
    LoopbackServer server;
    const auto first = say(server, {{"token", "ann"}, {"x-tenant", "a"}});
    REQUIRE(first.status.ok());
    CHECK(first.text == "hello");
    CHECK(first.fields.at("ratelimit-policy") == "\"calls\";q=2;w=31536000,\"tenant\";q=3;w=10800");
    CHECK(first.fields.at("x-ratelimit-remaining") == "1");
    CHECK(say(server, {{"token", "ann"}, {"x-tenant", "a"}}).status.ok());
    const auto denied = say(server, {{"token", "ann"}, {"x-tenant", "b"}});
    CHECK(denied.status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED);
    CHECK(denied.status.error_message() == "rate limit exceeded: calls");
    const auto delay = detail_of<sluice::test::RetryInfo>(denied.status, "RetryInfo").retry_delay();
    CHECK(std::to_string(delay.seconds() + (delay.nanos() > 0 ? 1 : 0)) == denied.fields.at("retry-after"));
    const auto failure = detail_of<sluice::test::QuotaFailure>(denied.status, "QuotaFailure");
    REQUIRE(failure.violations_size() == 1);
    CHECK(failure.violations(0).subject() == "calls");
    CHECK(server.service.handled == 2);
    // Others' calls are others' limits; the tenant's is shared.
    CHECK(say(server, {{"token", "bob"}, {"x-tenant", "a"}}).status.ok());
    CHECK(say(server, {{"token", "bob"}, {"x-tenant", "a"}}).status.error_message() == "rate limit exceeded: tenant");
}

TEST_CASE("grpc: a client cannot say that it is denied, nor that it is not", "[grpc]") {
    LoopbackServer server;
    CHECK(say(server, {{"sluice-denied", "1"}}).text == "hello");
    CHECK(say(server).status.ok());
    CHECK_FALSE(say(server, {{"sluice-denied", ""}}).status.ok());
    CHECK(server.service.handled == 2);
}

TEST_CASE("grpc: a handler that does not ask is answered for; what no rule limits is not", "[grpc]") {
    LoopbackServer server{{.client_address = ClientAddress{{.trusted_proxies = {Network{"127.0.0.1"}}}}}};
    const auto free = [&](const char* from) {
        grpc::ClientContext context;
        context.AddMetadata("x-forwarded-for", from);
        Text reply;
        return server.stub->Free(&context, {}, &reply).error_code();
    };
    for (int i = 0; i < 5; ++i) CHECK(free("198.51.100.1") == grpc::StatusCode::OK);
    CHECK(free("203.0.113.1") == grpc::StatusCode::PERMISSION_DENIED);
}

TEST_CASE("grpc: streams are limited by the call", "[grpc]") {
    LoopbackServer server;
    const auto count = [&] {
        grpc::ClientContext context;
        auto reader = server.stub->Count(&context, {});
        Text text;
        int messages = 0;
        while (reader->Read(&text)) ++messages;
        return std::pair{messages, reader->Finish().error_code()};
    };
    CHECK(count() == std::pair{3, grpc::StatusCode::OK});
    CHECK(count() == std::pair{0, grpc::StatusCode::RESOURCE_EXHAUSTED});
}

TEST_CASE("grpc: only failed logins count", "[grpc]") {
    LoopbackServer server;
    const auto login = [&](const char* password) {
        grpc::ClientContext context;
        Text request, reply;
        request.set_text(password);
        return server.stub->Login(&context, request, &reply).error_code();
    };
    for (int i = 0; i < 3; ++i) CHECK(login("good") == grpc::StatusCode::OK);
    CHECK(login("bad") == grpc::StatusCode::UNAUTHENTICATED);
    CHECK(login("good") == grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_CASE("grpc: the peer's address is read of what gRPC says", "[grpc]") {
    using sluice::detail::rpc::peer_address;
    CHECK(peer_address("ipv4:192.0.2.1:50051") == "192.0.2.1");
    CHECK(peer_address("ipv6:[2001:db8::1]:50051") == "2001:db8::1");
    CHECK(peer_address("ipv6:%5B2001:db8::1%5D:50051") == "2001:db8::1");
    CHECK(peer_address("ipv6:%5Bfe80::1%25eth0%5D:1") == "fe80::1%eth0");
    CHECK(peer_address("unix:/run/socket") == "");
    CHECK(peer_address("") == "");
}
