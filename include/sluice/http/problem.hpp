// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_PROBLEM_HPP
#define SLUICE_HTTP_PROBLEM_HPP

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <sluice/error.hpp>
#include <sluice/http/answer.hpp>
#include <sluice/http/policy_name.hpp>

namespace sluice::http {

/// How a denial is explained to the client.
enum class BodyStyle {
    problem,  ///< RFC 9457 problem+json, of the types that the rate limit draft registers
    plain,    ///< {"error":"Rate limit exceeded","retry_after":0.9}
};

/// A denial's status and body. Says nothing of keys, hosts or a store's errors.
struct DenialBody {
    int status = 429;
    std::string content_type{};
    std::string content{};
};

namespace detail {

/// Seconds with up to three decimals, rounded up: 0.9, 2, 0.001.
inline std::string decimal_seconds(std::chrono::nanoseconds time) {
    constexpr std::int64_t millisecond = 1'000'000;
    const std::int64_t ms = time.count() / millisecond + (time.count() % millisecond > 0 ? 1 : 0);
    std::string out = std::to_string(ms / 1000);
    if (ms % 1000 != 0) {
        out += '.' + std::to_string(1000 + ms % 1000).substr(1);
        out.erase(out.find_last_not_of('0') + 1);
    }
    return out;
}

/// Type and title. What has no type of its own has the status code's title, as RFC 9457 wants it.
constexpr std::string_view problem_type(int status) noexcept {
    switch (status) {
        case 400: return R"(about:blank","title":"Bad Request")";
        case 403: return R"(about:blank","title":"Forbidden")";
        case 500: return R"(about:blank","title":"Internal Server Error")";
        case 503:
            return R"(https://iana.org/assignments/http-problem-types#temporary-reduced-capacity",)"
                   R"("title":"The server's capacity is reduced for the moment")";
        default:
            return R"(https://iana.org/assignments/http-problem-types#quota-exceeded",)"
                   R"("title":"The request exceeds the quota that is left")";
    }
}

inline std::string problem(std::span<const PolicyAnswer> answers, int status) {
    const bool never = std::any_of(answers.begin(), answers.end(), [](const PolicyAnswer& answer) {
        return !answer.decision.allowed && answer.decision.retry_after == Decision::never;
    });
    std::string out = R"({"type":")";
    out += problem_type(status);
    out += R"(,"status":)" + std::to_string(status);
    if (status == 400) out += R"(,"detail":"What this request is counted by is too long")";
    if (status == 500) out += R"(,"detail":"The server's limit for this request is misconfigured")";
    if (never) out += R"(,"detail":"The request costs more than the whole quota, so it can never be satisfied")";
    out += R"(,"violated-policies":[)";
    const char* separator = "";
    for (const auto& answer : answers) {
        if (answer.decision.allowed) continue;
        out += separator;
        append_quoted(out, answer.name);
        separator = ",";
    }
    return out + "]}";
}

/// For what is no request at all.
inline DenialBody bad_request() {
    return {400, "application/problem+json", R"({"type":"about:blank","title":"Bad Request","status":400})"};
}

inline std::string plain(std::span<const PolicyAnswer> answers, int status) {
    const PolicyAnswer* bound = binding(answers);
    const auto wait = bound != nullptr ? bound->decision.retry_after : Decision::never;
    if (status == 400) return R"({"error":"Bad request","retry_after":null})";
    if (status == 403) return R"({"error":"Forbidden","retry_after":null})";
    if (status == 500) return R"({"error":"Rate limiter misconfigured","retry_after":null})";
    std::string out = status == 503 ? R"({"error":"Rate limiter unavailable","retry_after":)"
                                    : R"({"error":"Rate limit exceeded","retry_after":)";
    if (wait == Decision::never) return out + "null}";
    return out + (status == 503 ? "1" : decimal_seconds(wait)) + '}';
}

}  // namespace detail

/// 429 where a limit was exceeded. Else what is wrong: 400 for the request (a key that no store holds), 500 for the
/// limiter's configuration, 503 for stores that failed, the only one of these that will pass by itself.
inline int denial_status(std::span<const PolicyAnswer> answers) noexcept {
    const auto any = [&](auto is) {
        return std::any_of(answers.begin(), answers.end(),
                           [&](const PolicyAnswer& answer) { return !answer.decision.allowed && is(answer.decision); });
    };
    const auto has = [](Errc code) { return [code](const Decision& decision) { return decision.error == code; }; };
    if (any([](const Decision& d) { return is_decided(d.error) || d.retry_after == Decision::never; })) return 429;
    if (any(has(Errc::invalid_argument))) return 400;
    return any(has(Errc::misconfigured)) ? 500 : 503;
}

/// The status and the body for a denied request. May throw std::bad_alloc.
inline DenialBody denial_body(std::span<const PolicyAnswer> answers, BodyStyle style, int status) {
    if (style == BodyStyle::plain) return {status, "application/json", detail::plain(answers, status)};
    return {status, "application/problem+json", detail::problem(answers, status)};
}
inline DenialBody denial_body(std::span<const PolicyAnswer> answers, BodyStyle style = BodyStyle::problem) {
    return denial_body(answers, style, denial_status(answers));
}

}  // namespace sluice::http

#endif
