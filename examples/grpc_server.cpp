// SPDX-License-Identifier: MIT
//
// The demo service on gRPC: an interceptor limits the calls of each client.
//
//     grpc_server [PORT]                      serves
//     grpc_server --call ADDRESS METHOD N     calls a method N times and prints each status
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <grpcpp/grpcpp.h>
#include <signal.h>

#include <sluice/grpc/server_limiter.hpp>
#include <sluice/http/json/rules.hpp>
#include <sluice/sluice.hpp>

#include "grpc_demo.grpc.pb.h"

namespace {

// A rule's route is a method's full name. With a store for several instances: limiters_in(sluice::RedisStore{url}).
constexpr std::string_view rules = R"({"rules": [
    {"name": "free", "routes": ["/demo.Demo/Free"]},
    {"name": "data", "routes": ["/demo.Demo/Data"],
     "limits": [{"name": "data", "policy": {"kind": "token_bucket", "capacity": 10, "refill": "1/s"}}]},
    {"name": "strict", "routes": ["/demo.Demo/Strict"],
     "limits": [{"name": "burst", "policy": {"kind": "token_bucket", "capacity": 3, "refill": "1/5s"}},
                {"name": "minute", "policy": {"kind": "sliding_window", "limit": 6, "window": "1m"}}]},
    {"name": "expensive", "routes": ["/demo.Demo/Expensive"],
     "limits": [{"name": "work", "cost": 5, "policy": {"kind": "token_bucket", "capacity": 20, "refill": "2/s"}}]},
    {"name": "tiers", "routes": ["/demo.Demo/Tiers"],
     "tiers": [{"authenticated": true, "limits": [
                  {"name": "known", "key": ["user"], "policy": {"kind": "token_bucket", "capacity": 15, "refill": "1/2s"}}]},
               {"limits": [{"name": "anonymous", "policy": {"kind": "token_bucket", "capacity": 5, "refill": "1/5s"}}]}]},
    {"name": "login", "routes": ["/demo.Demo/Login"],
     "limits": [{"name": "login", "policy": {"kind": "sliding_window", "limit": 5, "window": "1m"}, "on_failure": "deny"}]}],
  "default": {"name": "default",
              "limits": [{"name": "default", "policy": {"kind": "token_bucket", "capacity": 20, "refill": "5/s"}}]}})";

/// Who calls: only keys that we have given out count.
struct ByApiKey {
    sluice::http::Caller operator()(const grpc::ServerContextBase& context) const {
        const auto key = context.client_metadata().find("x-api-key");
        if (key == context.client_metadata().end() || key->second != "demo-silver") return {};
        return {.user = "sam"};
    }
};

class DemoService final : public demo::Demo::Service {
    using Context = grpc::ServerContext;
    using Question = demo::Question;
    using Answer = demo::Answer;

    grpc::Status Free(Context* c, const Question*, Answer* a) override { return answer(*c, *a, "without a limit"); }
    grpc::Status Data(Context* c, const Question*, Answer* a) override {
        return answer(*c, *a, "ten, then one per second");
    }
    grpc::Status Strict(Context* c, const Question*, Answer* a) override {
        return answer(*c, *a, "three, and six a minute");
    }
    grpc::Status Expensive(Context* c, const Question*, Answer* a) override {
        return answer(*c, *a, "five units each");
    }
    grpc::Status Tiers(Context* c, const Question*, Answer* a) override { return answer(*c, *a, "by API key"); }
    grpc::Status Login(Context* c, const Question*, Answer*) override {
        if (sluice::is_denied(*c)) return grpc::Status::CANCELLED;
        return {grpc::StatusCode::UNAUTHENTICATED, "wrong password"};
    }

    static grpc::Status answer(const Context& context, Answer& answer, const char* text) {
        if (sluice::is_denied(context)) return grpc::Status::CANCELLED;  // the limiter's status takes its place
        answer.set_data(text);
        return grpc::Status::OK;
    }
};

int serve(const std::string& port) {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGINT, SIGTERM}) sigaddset(&signals, signal);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);

    sluice::http::Guard guard{sluice::http::parse_rules(rules, "rules", sluice::http::MemoryLimiters{}),
                              {.headers = {sluice::http::HeaderStyle::both}}};
    std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> limiters;
    limiters.push_back(std::make_unique<sluice::GrpcLimiter<ByApiKey>>(std::move(guard)));

    DemoService service;
    grpc::ServerBuilder builder;
    int bound = 0;
    builder.AddListeningPort("127.0.0.1:" + port, grpc::InsecureServerCredentials(), &bound);
    builder.RegisterService(&service);
    builder.experimental().SetInterceptorCreators(std::move(limiters));
    const auto server = builder.BuildAndStart();
    if (!server) throw std::runtime_error("cannot listen on port " + port);
    std::cout << "Listening on 127.0.0.1:" << bound << std::endl;
    int signal = 0;
    sigwait(&signals, &signal);
    server->Shutdown();
    return 0;
}

int call(const std::string& address, const std::string& method, int count) {
    const auto stub = demo::Demo::NewStub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
    const auto ask = method == "Data"    ? &demo::Demo::Stub::Data
                     : method == "Login" ? &demo::Demo::Stub::Login
                     : method == "Tiers" ? &demo::Demo::Stub::Tiers
                                         : &demo::Demo::Stub::Free;
    for (int i = 0; i < count; ++i) {
        grpc::ClientContext context;
        context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds{10});
        demo::Answer reply;
        const auto status = (stub.get()->*ask)(&context, demo::Question{}, &reply);
        const auto& fields = context.GetServerInitialMetadata();
        const auto limit = fields.find("ratelimit");
        std::cout << (status.ok()                                                   ? "OK"
                      : status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED ? "RESOURCE_EXHAUSTED"
                                                                                    : "failed")
                  << "  " << (status.ok() ? reply.data() : status.error_message()) << "  "
                  << (limit == fields.end() ? std::string{} : std::string{limit->second.data(), limit->second.size()})
                  << '\n';
    }
    return 0;
}

}  // namespace

int main(int argc, char* argv[]) {
    try {
        if (argc == 5 && std::string_view{argv[1]} == "--call") return call(argv[2], argv[3], std::atoi(argv[4]));
        return serve(argc > 1 ? argv[1] : "50051");
    } catch (const std::exception& error) {
        std::cerr << argv[0] << ": " << error.what() << '\n';
        return 1;
    }
}
