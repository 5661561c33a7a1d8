// SPDX-License-Identifier: MIT
//
// A gRPC server with or without a guard, and its clients:
//
//     http_grpc_benchmark [--limited]               serves
//     http_grpc_benchmark --intercepted             the same, with an interceptor that does nothing
//     http_grpc_benchmark --load ADDRESS SECONDS    calls it over 2 connections and prints how often a second
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <grpcpp/grpcpp.h>

#include <sluice/grpc/server_limiter.hpp>

#include "grpc_demo.grpc.pb.h"
#include "http/guard.hpp"

namespace {

class DataService final : public demo::Demo::Service {
public:
    bool is_limited = false;

private:
    grpc::Status Data(grpc::ServerContext* context, const demo::Question*, demo::Answer* answer) override {
        if (is_limited && sluice::is_denied(*context)) return grpc::Status::CANCELLED;
        answer->set_data(benchmark_answer);
        return grpc::Status::OK;
    }
};

struct IdleInterceptor final : grpc::experimental::Interceptor {
    void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override { methods->Proceed(); }
};
struct IdleFactory final : grpc::experimental::ServerInterceptorFactoryInterface {
    grpc::experimental::Interceptor* CreateServerInterceptor(grpc::experimental::ServerRpcInfo*) override {
        return new IdleInterceptor;
    }
};

int load(const std::string& address, int seconds) {
    using Clock = std::chrono::steady_clock;
    const auto end = Clock::now() + std::chrono::seconds{seconds};
    std::atomic<std::uint64_t> done{0};
    std::atomic<bool> is_well{true};
    const auto call = [&](int connection) {
        grpc::ChannelArguments own;  // else both would share one connection
        own.SetInt("connection", connection);
        const auto stub =
            demo::Demo::NewStub(grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), own));
        while (is_well && Clock::now() < end) {
            grpc::ClientContext context;
            demo::Answer answer;
            if (!stub->Data(&context, demo::Question{}, &answer).ok()) is_well = false;
            done.fetch_add(1, std::memory_order_relaxed);
        }
    };
    std::thread other{call, 1};
    call(0);
    other.join();
    if (!is_well) std::cerr << "not all answers were OK\n";
    std::cout << done / static_cast<std::uint64_t>(seconds) << '\n';
    return is_well ? 0 : 1;
}

}  // namespace

int main(int argc, char* argv[]) {
    if (argc == 4 && std::strcmp(argv[1], "--load") == 0) return load(argv[2], std::atoi(argv[3]));
    sluice::metrics::Registry registry;
    DataService service;
    grpc::ServerBuilder builder;
    std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
    if (auto guard = benchmark_guard(argc, argv, registry, "/demo.Demo/", {"Login", "Search", "Admin", "Data"})) {
        interceptors.push_back(std::make_unique<sluice::GrpcLimiter<>>(std::move(*guard)));
        service.is_limited = true;
    }
    if (argc == 2 && std::strcmp(argv[1], "--intercepted") == 0) {
        interceptors.push_back(std::make_unique<IdleFactory>());
    }
    builder.experimental().SetInterceptorCreators(std::move(interceptors));
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service);
    const auto server = builder.BuildAndStart();
    std::cout << "Listening on 127.0.0.1:" << port << std::endl;
    server->Wait();
}
