// SPDX-License-Identifier: MIT
#ifndef SLUICE_GRPC_DETAIL_ERROR_DETAILS_HPP
#define SLUICE_GRPC_DETAIL_ERROR_DETAILS_HPP

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/detail/cpp20.hpp>

// The few messages of google/rpc that a denial carries, in protobuf's wire format: so that nobody needs their generated
// code. Field numbers are those of google/rpc/status.proto, error_details.proto and protobuf's any.proto and duration.proto.
namespace sluice::detail::rpc {

inline void append_varint(std::string& out, std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
    out += static_cast<char>(value);
}
inline void append_number(std::string& out, unsigned field, std::uint64_t value) {
    append_varint(out, field << 3);
    append_varint(out, value);
}
inline void append_bytes(std::string& out, unsigned field, std::string_view bytes) {
    append_varint(out, field << 3 | 2);
    append_varint(out, bytes.size());
    out += bytes;
}

/// An Any of `type`, packed as field 3 of a google.rpc.Status.
inline void append_detail(std::string& out, std::string_view type, std::string_view message) {
    std::string any;
    append_bytes(any, 1, "type.googleapis.com/google.rpc." + std::string{type});
    append_bytes(any, 2, message);
    append_bytes(out, 3, any);
}

/// A google.rpc.Status with a RetryInfo, where waiting helps, and a QuotaFailure that names the limits.
inline std::string status_details(int code, std::string_view text, std::optional<std::chrono::nanoseconds> retry_after,
                                  const std::vector<std::string_view>& violated) {
    std::string out;
    append_number(out, 1, static_cast<std::uint64_t>(code));
    append_bytes(out, 2, text);
    if (retry_after) {
        constexpr std::int64_t second = 1'000'000'000;
        std::string duration, info;
        append_number(duration, 1, static_cast<std::uint64_t>(retry_after->count() / second));
        append_number(duration, 2, static_cast<std::uint64_t>(retry_after->count() % second));
        append_bytes(info, 1, duration);
        append_detail(out, "RetryInfo", info);
    }
    if (!violated.empty()) {
        std::string failure;
        for (const auto name : violated) {
            std::string violation;
            append_bytes(violation, 1, name);
            append_bytes(violation, 2, "quota exceeded");
            append_bytes(failure, 1, violation);
        }
        append_detail(out, "QuotaFailure", failure);
    }
    return out;
}

}  // namespace sluice::detail::rpc

#endif
