// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_HEADERS_HPP
#define SLUICE_HTTP_HEADERS_HPP

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include <sluice/error.hpp>
#include <sluice/http/answer.hpp>
#include <sluice/http/policy_name.hpp>

namespace sluice::http {

/// Which fields tell a client about its limits. Retry-After is sent with each denial in every style.
enum class HeaderStyle {
    none,
    x_ratelimit,  ///< X-RateLimit-Limit, -Remaining, -Reset: of the limit that binds; Reset counts seconds from now
    ratelimit,    ///< RateLimit-Policy and RateLimit of draft-ietf-httpapi-ratelimit-headers, with every limit. One
                  ///< whose requests cost several units says so with qu="units"; x_ratelimit has no word for that
    both,         ///< costs a server most, in bytes and in time
};

struct HeaderOptions {
    HeaderStyle style = HeaderStyle::x_ratelimit;
    /// Adds up to so many percent to Retry-After, at random, so that denied clients do not all come back at once.
    unsigned retry_jitter_percent = 0;
};

/// Whole seconds, rounded up.
constexpr std::uint64_t ceil_seconds(std::chrono::nanoseconds time) noexcept {
    constexpr std::int64_t second = 1'000'000'000;
    if (time.count() <= 0) return 0;
    return static_cast<std::uint64_t>(time.count() / second) + (time.count() % second != 0 ? 1 : 0);
}

/// Retry-After's value: whole seconds, rounded up, at least 1. Nothing for an allowed request, and for one whose cost
/// can never fit or that is wrong in itself.
inline std::optional<std::uint64_t> retry_after_seconds(const Decision& decision) noexcept {
    if (decision.allowed || decision.retry_after == Decision::never || is_rejected(decision.error)) {
        return std::nullopt;
    }
    return std::max<std::uint64_t>(ceil_seconds(decision.retry_after), 1);
}

/// Writes rate limit fields. Usable by all threads at once; the strings it makes are its only allocations.
class HeaderWriter {
public:
    /// Throws std::invalid_argument for a jitter above 100 %.
    explicit HeaderWriter(const HeaderOptions& options = {}) : options_(options) {
        if (options.retry_jitter_percent > 100) {
            throw std::invalid_argument("sluice: retry_jitter_percent must be from 0 to 100, not " +
                                        std::to_string(options.retry_jitter_percent));
        }
    }

    /// Calls set(const char* name, std::string value) for each field. Limits whose store failed are left out: there
    /// are no true numbers for them. One that was not asked stands in RateLimit-Policy alone, which is thus the same
    /// for all answers of a rule. What `set` and std::string throw goes through.
    template <class Set>
    void write(std::span<const PolicyAnswer> answers, Set&& set) const {
        const bool known = std::any_of(answers.begin(), answers.end(), is_known);
        const bool ratelimit = options_.style == HeaderStyle::ratelimit || options_.style == HeaderStyle::both;
        const bool x_ratelimit = options_.style == HeaderStyle::x_ratelimit || options_.style == HeaderStyle::both;
        if (known && ratelimit) {
            set("RateLimit", list(answers, is_known, append_state));
            set("RateLimit-Policy", list(answers, is_enforced, append_policy));
        }
        if (const auto wait = longest_retry(answers)) set("Retry-After", std::to_string(jittered(*wait)));
        if (known && x_ratelimit) {
            const PolicyAnswer& bound = *binding(answers);
            if (!is_known(bound)) return;
            set("X-RateLimit-Limit", std::to_string(bound.decision.limit));
            set("X-RateLimit-Remaining", std::to_string(bound.decision.remaining));
            set("X-RateLimit-Reset", std::to_string(ceil_seconds(bound.decision.reset_after)));
        }
    }

private:
    static bool is_enforced(const PolicyAnswer& answer) noexcept { return is_decided(answer.decision.error); }
    static bool is_known(const PolicyAnswer& answer) noexcept { return answer.asked && is_enforced(answer); }

    /// Nothing if one of them will never be allowed, whatever the others say.
    static std::optional<std::uint64_t> longest_retry(std::span<const PolicyAnswer> answers) noexcept {
        std::optional<std::uint64_t> longest;
        for (const auto& answer : answers) {
            const auto seconds = retry_after_seconds(answer.decision);
            if (!answer.decision.allowed && !seconds) return std::nullopt;
            longest = std::max(longest, seconds);
        }
        return longest;
    }

    template <class Tells, class Append>
    static std::string list(std::span<const PolicyAnswer> answers, Tells tells, Append append) {
        std::string out;
        out.reserve(answers.size() * 48);
        for (const auto& answer : answers) {
            if (!tells(answer)) continue;
            if (!out.empty()) out += ',';
            detail::append_quoted(out, answer.name);
            append(out, answer);
        }
        return out;
    }
    /// A window is rounded up, so that no more is promised than is granted.
    static void append_policy(std::string& out, const PolicyAnswer& answer) {
        parameter(out, ";q=", answer.quota.limit);
        if (answer.cost != 1) out += ";qu=\"units\"";  // the draft's default is "requests"
        parameter(out, ";w=", ceil_seconds(answer.quota.window));
    }
    /// t is the time in which no more than r may be used: until the retry where denied, so that it never ends after
    /// Retry-After, else until the key is as good as new. Left out when there is nothing to wait for.
    static void append_state(std::string& out, const PolicyAnswer& answer) {
        const Decision& decision = answer.decision;
        const auto retry = retry_after_seconds(decision);
        parameter(out, ";r=", decision.remaining);
        const auto window = retry ? *retry : ceil_seconds(decision.reset_after);
        if (window > 0) parameter(out, ";t=", window);
    }
    /// Integers of structured fields have at most 15 digits.
    static void parameter(std::string& out, const char* name, std::uint64_t value) {
        constexpr std::uint64_t most = 999'999'999'999'999;
        out += name;
        out += std::to_string(std::min(value, most));
    }

    std::uint64_t jittered(std::uint64_t seconds) const noexcept {
        if (options_.retry_jitter_percent == 0) return seconds;
        // SplitMix64 on a shared counter: denials only, so that one atomic addition does not matter.
        std::uint64_t x = seed_.fetch_add(0x9e3779b97f4a7c15, std::memory_order_relaxed);
        x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
        x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
        const std::uint64_t most = (seconds * options_.retry_jitter_percent + 99) / 100;
        return seconds + (x ^ (x >> 31)) % (most + 1);
    }

    HeaderOptions options_;
    mutable std::atomic<std::uint64_t> seed_{0};
};

}  // namespace sluice::http

#endif
