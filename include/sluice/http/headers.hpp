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
#include <type_traits>
#include <utility>

#include <sluice/error.hpp>
#include <sluice/http/answer.hpp>
#include <sluice/http/detail/text.hpp>
#include <sluice/http/fields.hpp>
#include <sluice/http/policy_name.hpp>

namespace sluice::http {

/// Which fields tell a client about its limits: flags, to be combined with |. Retry-After is sent with each denial in
/// every style.
enum class HeaderStyle : unsigned {
    none = 0,
    x_ratelimit = 1,  ///< X-RateLimit-Limit, -Remaining, -Reset: of the limit that binds; Reset counts seconds from now
    ratelimit = 2,  ///< RateLimit-Policy and RateLimit of draft-ietf-httpapi-ratelimit-headers, versions 8 to 11, with
                    ///< every limit. One whose requests cost several units says so with qu="units"
    both = 3,       ///< costs a server most, in bytes and in time
    draft_7 = 4,    ///< version 7: RateLimit: limit=10, remaining=5, reset=50, of the limit that binds
    draft_6 = 8,    ///< up to version 6: RateLimit-Limit, -Remaining, -Reset, of the limit that binds
    x_ratelimit_unix = 16  ///< as x_ratelimit, but Reset is a time, in seconds of the Unix epoch
};

constexpr HeaderStyle operator|(HeaderStyle a, HeaderStyle b) noexcept {
    return static_cast<HeaderStyle>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
/// Whether `all` has one of the flags of `some`.
constexpr bool has_style(HeaderStyle all, HeaderStyle some) noexcept {
    return (static_cast<unsigned>(all) & static_cast<unsigned>(some)) != 0;
}

/// The fields of x_ratelimit and x_ratelimit_unix by other names; an empty one is left out.
struct HeaderNames {
    std::string limit = "X-RateLimit-Limit";
    std::string remaining = "X-RateLimit-Remaining";
    std::string reset = "X-RateLimit-Reset";
};

struct HeaderOptions {
    HeaderStyle style = HeaderStyle::x_ratelimit;
    /// Adds up to so many percent to Retry-After, at random, so that denied clients do not all come back at once.
    unsigned retry_jitter_percent = 0;
    HeaderNames names{};
};

/// Whole seconds, rounded up.
constexpr std::uint64_t ceil_seconds(std::chrono::nanoseconds time) noexcept {
    constexpr std::int64_t second = 1'000'000'000;
    const std::int64_t ns = std::max<std::int64_t>(time.count(), 0);
    return static_cast<std::uint64_t>(ns / second + (ns % second != 0 ? 1 : 0));
}

/// Retry-After's value: whole seconds, rounded up, at least 1. Nothing for an allowed request, and for one whose cost
/// can never fit or that is wrong in itself.
inline std::optional<std::uint64_t> retry_after_seconds(const Decision& decision) noexcept {
    if (decision.allowed || decision.retry_after == Decision::never || is_rejected(decision.error)) {
        return std::nullopt;
    }
    return std::max<std::uint64_t>(ceil_seconds(decision.retry_after), 1);
}

/// Retry-After of several limits: the longest. Nothing if one of them will never be allowed, whatever the others say.
inline std::optional<std::uint64_t> longest_retry(std::span<const PolicyAnswer> answers) noexcept {
    std::optional<std::uint64_t> longest;
    for (const auto& answer : answers) {
        const auto seconds = retry_after_seconds(answer.decision);
        if (!answer.decision.allowed && !seconds) return std::nullopt;
        longest = std::max(longest, seconds);
    }
    return longest;
}

/// Writes rate limit fields. Usable by all threads at once.
class HeaderWriter {
public:
    /// Throws std::invalid_argument for a jitter above 100 %, styles that write the same field, and names that no field has.
    explicit HeaderWriter(HeaderOptions options = {}) : options_(std::move(options)) {
        if (options_.retry_jitter_percent > 100) {
            throw std::invalid_argument("sluice: retry_jitter_percent must be from 0 to 100, not " +
                                        std::to_string(options_.retry_jitter_percent));
        }
        const int drafts =
            int{has(HeaderStyle::ratelimit)} + int{has(HeaderStyle::draft_7)} + int{has(HeaderStyle::draft_6)};
        if (drafts > 1 || (has(HeaderStyle::x_ratelimit) && has(HeaderStyle::x_ratelimit_unix))) {
            throw std::invalid_argument("sluice: two header styles that write the same field");
        }
        for (const std::string* name : {&options_.names.limit, &options_.names.remaining, &options_.names.reset}) {
            if (!std::all_of(name->begin(), name->end(), detail::is_token_char)) {
                throw std::invalid_argument("sluice: '" + *name + "' cannot be a header's name");
            }
        }
    }

    /// Adds the fields. Limits whose store failed are left out: there are no true numbers for them. One that was not asked
    /// stands in RateLimit-Policy alone, which is thus the same for all answers of a rule. The names live as long as this.
    /// May throw std::bad_alloc.
    void write(std::span<const PolicyAnswer> answers, FieldList& out) const {
        const bool known = std::any_of(answers.begin(), answers.end(), is_known);
        if (known && has(HeaderStyle::ratelimit)) {
            list(out, "RateLimit", answers, is_known, append_state);
            list(out, "RateLimit-Policy", answers, is_enforced, append_policy);
        }
        if (const auto wait = longest_retry(answers)) add(out, "Retry-After", jittered(*wait));
        if (!known) return;
        const PolicyAnswer& bound = *binding(answers);
        if (is_known(bound)) write_bound(bound, out);
        if (has(HeaderStyle::draft_7 | HeaderStyle::draft_6)) write_old_policies(answers, out);
    }
    /// Calls set(const char* name, std::string value) for each field. What that throws goes through.
    template <class Set>
    requires std::is_invocable_v<Set&, const char*, std::string>
    void write(std::span<const PolicyAnswer> answers, Set&& set) const {
        FieldList fields;
        write(answers, fields);
        for (const Field field : fields) set(field.name, std::string{field.value});
    }

private:
    bool has(HeaderStyle style) const noexcept { return has_style(options_.style, style); }
    static bool is_enforced(const PolicyAnswer& answer) noexcept { return is_decided(answer.decision.error); }
    static bool is_known(const PolicyAnswer& answer) noexcept { return answer.asked && is_enforced(answer); }

    static void add(FieldList& out, const char* name, std::uint64_t value) {
        out.start(name);
        out.append(value);
    }

    /// The styles that know of one limit.
    void write_bound(const PolicyAnswer& bound, FieldList& out) const {
        const Decision& decision = bound.decision;
        if (has(HeaderStyle::draft_7)) {
            out.start("RateLimit");
            parameter(out, "limit=", decision.limit);
            parameter(out, ", remaining=", decision.remaining);
            parameter(out, ", reset=", effective_window(decision));
        }
        if (has(HeaderStyle::draft_6)) {
            add(out, "RateLimit-Limit", decision.limit);
            add(out, "RateLimit-Remaining", decision.remaining);
            add(out, "RateLimit-Reset", effective_window(decision));
        }
        if (!has(HeaderStyle::x_ratelimit | HeaderStyle::x_ratelimit_unix)) return;
        const auto& names = options_.names;
        const auto now = has(HeaderStyle::x_ratelimit_unix) ? std::chrono::system_clock::now().time_since_epoch()
                                                            : std::chrono::system_clock::duration{0};
        if (!names.limit.empty()) add(out, names.limit.c_str(), decision.limit);
        if (!names.remaining.empty()) add(out, names.remaining.c_str(), decision.remaining);
        if (!names.reset.empty()) add(out, names.reset.c_str(), ceil_seconds(now + decision.reset_after));
    }

    /// Versions 6 and 7 know no names: "10;w=1, 100;w=60".
    static void write_old_policies(std::span<const PolicyAnswer> answers, FieldList& out) {
        out.start("RateLimit-Policy");
        std::string_view separator;
        for (const auto& answer : answers) {
            if (!is_enforced(answer)) continue;
            out.append(std::exchange(separator, ", "));
            out.append(answer.quota.limit);
            parameter(out, ";w=", ceil_seconds(answer.quota.window));
        }
    }

    template <class Tells, class Append>
    static void list(FieldList& out, const char* name, std::span<const PolicyAnswer> answers, Tells tells,
                     Append append) {
        out.start(name);
        std::string_view separator;
        for (const auto& answer : answers) {
            if (!tells(answer)) continue;
            out.append(std::exchange(separator, ","));
            append_quoted(out, answer.name);
            append(out, answer);
        }
    }
    /// A window is rounded up, so that no more is promised than is granted.
    static void append_policy(FieldList& out, const PolicyAnswer& answer) {
        parameter(out, ";q=", answer.quota.limit);
        const std::string_view unit = !answer.unit.empty() ? answer.unit : answer.cost != 1 ? "units" : "requests";
        if (unit != "requests") {  // the draft's default
            out.append(";qu=");
            append_quoted(out, unit);
        }
        parameter(out, ";w=", ceil_seconds(answer.quota.window));
        append_partition(out, answer);
    }
    /// Left out when there is nothing to wait for.
    static void append_state(FieldList& out, const PolicyAnswer& answer) {
        parameter(out, ";r=", answer.decision.remaining);
        const auto window = effective_window(answer.decision);
        if (window > 0) parameter(out, ";t=", window);
        append_partition(out, answer);
    }
    /// The time in which no more than `remaining` may be used: until the retry where denied, so that it never ends after
    /// Retry-After, else until the key is as good as new.
    static std::uint64_t effective_window(const Decision& decision) noexcept {
        return retry_after_seconds(decision).value_or(ceil_seconds(decision.reset_after));
    }
    /// pk, a byte sequence: eight bytes in base64.
    static void append_partition(FieldList& out, const PolicyAnswer& answer) {
        if (!answer.partition) return;
        constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        out.append(";pk=:");
        for (int shift = 58; shift >= 4; shift -= 6) out.append(digits.substr((*answer.partition >> shift) & 63, 1));
        out.append(digits.substr((*answer.partition & 15) << 2, 1));  // the last 4 bits
        out.append("=:");
    }
    static void append_quoted(FieldList& out, std::string_view text) {
        out.append("\"");
        while (!text.empty()) {
            const auto plain = std::min(text.find_first_of("\"\\"), text.size());
            out.append(text.substr(0, plain));
            text.remove_prefix(plain);
            if (text.empty()) break;
            out.append("\\");
            out.append(text.substr(0, 1));
            text.remove_prefix(1);
        }
        out.append("\"");
    }
    /// Integers of structured fields have at most 15 digits.
    static void parameter(FieldList& out, std::string_view name, std::uint64_t value) {
        constexpr std::uint64_t most = 999'999'999'999'999;
        out.append(name);
        out.append(std::min(value, most));
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
