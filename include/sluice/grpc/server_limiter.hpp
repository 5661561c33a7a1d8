// SPDX-License-Identifier: MIT
#ifndef SLUICE_GRPC_SERVER_LIMITER_HPP
#define SLUICE_GRPC_SERVER_LIMITER_HPP

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_interceptor.h>
#include <grpcpp/support/status.h>

#include <sluice/detail/exceptions.hpp>
#include <sluice/grpc/detail/error_details.hpp>
#include <sluice/http/adapter.hpp>

// Rate limiting for gRPC servers: an interceptor over the rules that HTTP servers have.
namespace sluice {

namespace detail::rpc {

using Metadata = std::multimap<::grpc::string_ref, ::grpc::string_ref>;

inline constexpr const char* denied_key = "sluice-denied";

inline std::string_view view(const ::grpc::string_ref& text) noexcept { return {text.data(), text.size()}; }

/// The address in "ipv4:192.0.2.1:50051" and "ipv6:[2001:db8::1]:50051", whose brackets newer versions escape.
inline std::string peer_address(std::string peer) {
    for (const auto& [escaped, bracket] : {std::pair{"%5B", "["}, std::pair{"%5D", "]"}, std::pair{"%25", "%"}}) {
        if (const auto at = peer.find(escaped); at != std::string::npos) peer.replace(at, 3, bracket);
    }
    if (peer.substr(0, 5) != "ipv4:" && peer.substr(0, 5) != "ipv6:") return {};  // a Unix socket
    const auto colon = peer.rfind(':');
    std::string address = peer.substr(5, colon < 5 ? std::string::npos : colon - 5);
    if (!address.empty() && address.front() == '[') address = address.substr(1, address.find(']') - 1);
    return address;
}

inline ::grpc::StatusCode status_code(int http_status) noexcept {
    switch (http_status) {
        case 400: return ::grpc::StatusCode::INVALID_ARGUMENT;
        case 403: return ::grpc::StatusCode::PERMISSION_DENIED;
        case 500: return ::grpc::StatusCode::INTERNAL;
        case 503: return ::grpc::StatusCode::UNAVAILABLE;
        default: return ::grpc::StatusCode::RESOURCE_EXHAUSTED;
    }
}

/// What a denied call ends with. May throw std::bad_alloc.
inline ::grpc::Status denial_status(const http::Answer& answer) {
    const auto code = status_code(answer.denial.status);
    const auto answers = answer.verdict.answers();
    std::vector<std::string_view> violated;
    for (const auto& one : answers) {
        if (!one.decision.allowed) violated.push_back(one.name);
    }
    std::string text =
        code == ::grpc::StatusCode::RESOURCE_EXHAUSTED ? "rate limit exceeded" : "denied by the rate limiter";
    for (const auto name : violated) text += (name == violated.front() ? ": " : ", ") + std::string{name};
    std::optional<std::chrono::nanoseconds> wait;
    if (http::longest_retry(answers) && !violated.empty()) wait = http::binding(answers)->decision.retry_after;
    return {code, text, status_details(static_cast<int>(code), text, wait, violated)};
}

}  // namespace detail::rpc

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
/// metadata of every call. A call that ends with another status than OK is a failure to limits that count by outcome. `identify` maps the ServerContextBase to a Caller. Thread-safe; a call to a slow store holds the
/// thread that the call came in on.
template <class Identify = http::Anonymous>
class GrpcLimiter final : public ::grpc::experimental::ServerInterceptorFactoryInterface {
public:
    explicit GrpcLimiter(http::Guard guard, Identify identify = {})
        : guard_(std::move(guard)), identify_(std::move(identify)) {}

    ::grpc::experimental::Interceptor* CreateServerInterceptor(::grpc::experimental::ServerRpcInfo* info) override {
        return new LimitedCall{guard_, identify_, *info};
    }

private:
    using Hook = ::grpc::experimental::InterceptionHookPoints;
    using Methods = ::grpc::experimental::InterceptorBatchMethods;

    class LimitedCall final : public ::grpc::experimental::Interceptor {
    public:
        LimitedCall(const http::Guard& guard, const Identify& identify, ::grpc::experimental::ServerRpcInfo& info)
            : guard_(guard), identify_(identify), info_(info) {}

        void Intercept(Methods* methods) override {
            const auto look = [&] {
                if (methods->QueryInterceptionHookPoint(Hook::POST_RECV_INITIAL_METADATA)) {
                    begin(*methods->GetRecvInitialMetadata());
                }
                if (methods->QueryInterceptionHookPoint(Hook::PRE_SEND_INITIAL_METADATA)) {
                    write_fields(*methods->GetSendInitialMetadata());
                }
                if (methods->QueryInterceptionHookPoint(Hook::PRE_SEND_STATUS)) end(*methods);
            };
            detail::try_or(look, [] {});  // no memory
            methods->Proceed();
        }

    private:
        void begin(detail::rpc::Metadata& metadata) {
            metadata.erase(detail::rpc::denied_key);  // the client's own
            const auto find = [&](std::string_view name, http::HeaderValues& values) {
                std::string lower{name};
                std::transform(lower.begin(), lower.end(), lower.begin(),
                               [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
                auto [line, last] = metadata.equal_range(lower);
                for (; line != last; ++line) values.add(detail::rpc::view(line->second));
            };
            const auto& context = *info_.server_context();
            const std::string peer = detail::rpc::peer_address(context.peer());
            answer_ = guard_.handle({.method = "POST",
                                     .path = info_.method(),
                                     .peer = peer,
                                     .header = find,
                                     .caller = http::identified(identify_, context),
                                     .body_size = 0});
            http::hold(answer_, guard_.options());
            if (!answer_.allowed) metadata.emplace(detail::rpc::denied_key, "1");
        }

        void write_fields(std::multimap<std::string, std::string>& metadata) const {
            for (const auto& [name, value] : answer_.fields) {
                std::string lower{name};
                std::transform(lower.begin(), lower.end(), lower.begin(),
                               [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
                metadata.erase(lower);
                metadata.emplace(std::move(lower), std::string{value});
            }
        }

        void end(Methods& methods) const {
            if (answer_.allowed) return answer_.verdict.settle(methods.GetSendStatus().ok() ? 200 : 500);
            methods.ModifySendStatus(detail::rpc::denial_status(answer_));
        }

        const http::Guard& guard_;  // the factory's, which lives as long as the server
        const Identify& identify_;
        ::grpc::experimental::ServerRpcInfo& info_;
        http::Answer answer_{};
    };

    http::Guard guard_;
    Identify identify_;
};

}  // namespace sluice

#endif
