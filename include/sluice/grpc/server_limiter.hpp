// SPDX-License-Identifier: MIT
#ifndef SLUICE_GRPC_SERVER_LIMITER_HPP
#define SLUICE_GRPC_SERVER_LIMITER_HPP

#include <utility>

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_interceptor.h>

#include <sluice/grpc/detail/call_metadata.hpp>
#include <sluice/grpc/detail/limited_call.hpp>
#include <sluice/http/adapter.hpp>

// Rate limiting for gRPC servers: an interceptor over the rules that HTTP servers have.
namespace sluice {

/// Whether the limiter has denied this call: a handler's first line. C++'s gRPC offers interceptors no way to keep a handler
/// from being called, so a handler that does not ask works in vain: whatever it answers, the client gets the denial.
///
///     grpc::Status SayHello(grpc::ServerContext* context, const Request*, Reply*) override {
///         if (sluice::is_denied(*context)) return grpc::Status::CANCELLED;   // RESOURCE_EXHAUSTED takes its place
inline bool is_denied(const ::grpc::ServerContextBase& context) {
    return context.client_metadata().count(detail::rpc::denied_key) != 0;
}

/// Makes an interceptor for each call of a server:
///
///     std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> creators;
///     creators.push_back(std::make_unique<sluice::GrpcLimiter<>>(guard));
///     builder.experimental().SetInterceptorCreators(std::move(creators));
///
/// A rule's route is the method's full name, "/helloworld.Greeter/SayHello" or "/helloworld.Greeter/*"; its method is POST,
/// headers are the metadata. A denial is RESOURCE_EXHAUSTED (PERMISSION_DENIED where nobody may, UNAVAILABLE where a store
/// failed) with google.rpc.RetryInfo and QuotaFailure in its details; the fields of the guard's header style are initial
/// metadata of every call. A call that ends with another status than OK is a failure to limits that count by outcome. `identify`
/// maps the ServerContextBase to a Caller. Thread-safe; a call to a slow store holds the thread that the call came in on.
template <class Identify = http::Anonymous>
class GrpcLimiter final : public ::grpc::experimental::ServerInterceptorFactoryInterface {
public:
    explicit GrpcLimiter(http::Guard guard, Identify identify = {})
        : guard_(std::move(guard)), identify_(std::move(identify)) {}

    ::grpc::experimental::Interceptor* CreateServerInterceptor(::grpc::experimental::ServerRpcInfo* info) override {
        return new detail::rpc::LimitedCall<Identify>{guard_, identify_, *info};
    }

private:
    http::Guard guard_;
    Identify identify_;
};

}  // namespace sluice

#endif
