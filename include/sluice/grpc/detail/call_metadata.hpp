// SPDX-License-Identifier: MIT
#ifndef SLUICE_GRPC_DETAIL_CALL_METADATA_HPP
#define SLUICE_GRPC_DETAIL_CALL_METADATA_HPP

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <grpcpp/support/status.h>
#include <grpcpp/support/string_ref.h>

#include <sluice/grpc/detail/error_details.hpp>
#include <sluice/http/adapter.hpp>

// What a call brings and takes back, for GrpcLimiter.
namespace sluice::detail::rpc {

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

inline std::string small_letters(std::string_view name) {
    std::string lower{name};
    std::transform(lower.begin(), lower.end(), lower.begin(), http::detail::lower);
    return lower;
}

/// A HeaderLookup's callable: metadata's names are in small letters.
class MetadataLookup {
public:
    explicit MetadataLookup(const Metadata& metadata) noexcept : metadata_(metadata) {}

    void operator()(std::string_view name, http::HeaderValues& values) const {
        auto [line, last] = metadata_.equal_range(small_letters(name));
        for (; line != last; ++line) values.add(view(line->second));
    }

private:
    const Metadata& metadata_;
};

/// In the place of what the handler has put there under these names. May throw std::bad_alloc.
inline void put_metadata(const http::Answer& answer, std::multimap<std::string, std::string>& metadata) {
    for (const auto [name, value] : answer.fields) {
        std::string lower = small_letters(name);
        metadata.erase(lower);
        metadata.emplace(std::move(lower), std::string{value});
    }
}

}  // namespace sluice::detail::rpc

#endif
