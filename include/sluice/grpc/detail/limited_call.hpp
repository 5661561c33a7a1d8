// SPDX-License-Identifier: MIT
#ifndef SLUICE_GRPC_DETAIL_LIMITED_CALL_HPP
#define SLUICE_GRPC_DETAIL_LIMITED_CALL_HPP

#include <string>

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_interceptor.h>

#include <sluice/detail/exceptions.hpp>
#include <sluice/grpc/detail/call_metadata.hpp>
#include <sluice/http/adapter.hpp>

namespace sluice::detail::rpc {

/// One call of a server, between its hooks.
template <class Identify>
class LimitedCall final : public ::grpc::experimental::Interceptor {
public:
    LimitedCall(const http::Guard& guard, const Identify& identify, ::grpc::experimental::ServerRpcInfo& info)
        : guard_(guard), identify_(identify), info_(info) {}

    void Intercept(::grpc::experimental::InterceptorBatchMethods* methods) override {
        const auto look = [&] {
            if (methods->QueryInterceptionHookPoint(Hook::POST_RECV_INITIAL_METADATA)) {
                begin(*methods->GetRecvInitialMetadata());
            }
            if (methods->QueryInterceptionHookPoint(Hook::PRE_SEND_INITIAL_METADATA)) {
                put_metadata(answer_, *methods->GetSendInitialMetadata());
            }
            if (methods->QueryInterceptionHookPoint(Hook::PRE_SEND_STATUS)) end(*methods);
        };
        detail::try_or(look, [] {});  // no memory
        methods->Proceed();
    }

private:
    using Hook = ::grpc::experimental::InterceptionHookPoints;
    using Methods = ::grpc::experimental::InterceptorBatchMethods;

    void begin(Metadata& metadata) {
        metadata.erase(denied_key);  // the client's own
        const MetadataLookup find{metadata};
        const auto& context = *info_.server_context();
        const std::string peer = peer_address(context.peer());
        guard_.handle({.method = "POST",
                       .path = info_.method(),
                       .peer = peer,
                       .header = find,
                       .caller = http::identified(identify_, context),
                       .body_size = 0},
                      answer_);
        http::hold(answer_, guard_.options());
        if (!answer_.allowed) metadata.emplace(denied_key, "1");
    }

    void end(Methods& methods) const {
        if (answer_.allowed) return answer_.verdict.settle(methods.GetSendStatus().ok() ? 200 : 500);
        methods.ModifySendStatus(denial_status(answer_));
    }

    const http::Guard& guard_;  // the factory's, which lives as long as the server
    const Identify& identify_;
    ::grpc::experimental::ServerRpcInfo& info_;
    http::Answer answer_{};
};

}  // namespace sluice::detail::rpc

#endif
