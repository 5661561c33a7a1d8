// SPDX-License-Identifier: MIT
#ifndef SLUICE_DECISION_HPP
#define SLUICE_DECISION_HPP

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string_view>
#include <system_error>

#include <sluice/detail/cpp20.hpp>

namespace sluice {

namespace detail {

inline constinit std::atomic<const std::error_category*> no_category_cache{nullptr};

/// std::error_code{}, which libstdc++ makes by a call into its shared library: the category is asked for once. Not at
/// start-up: a Decision may be made by another file's initialiser, before this one's would run. Inline, since a call would
/// spill the registers of a decision (15 instructions).
[[gnu::always_inline]] inline std::error_code no_error() noexcept {
    const std::error_category* category = no_category_cache.load(std::memory_order_relaxed);
    if (category == nullptr) [[unlikely]] {
        category = &std::error_code{}.category();
        no_category_cache.store(category, std::memory_order_relaxed);
    }
    return {0, *category};
}

/// Equal by the category's name and the value. The standard's == compares the addresses of categories, of which a
/// program and a plugin that it loads may each have one.
inline bool is_same_error(const std::error_code& a, const std::error_code& b) noexcept {
    return a.value() == b.value() &&
           (&a.category() == &b.category() || std::string_view{a.category().name()} == b.category().name());
}

}  // namespace detail

/// The answer to one request. A plain value; all durations count from the moment of the decision.
struct Decision {
    bool allowed = false;
    std::uint64_t limit = 0;                  ///< capacity or limit of the policy that binds
    std::uint64_t remaining = 0;              ///< whole units still available, rounded down
    std::chrono::nanoseconds retry_after{0};  ///< 0 when allowed; rounded up; `never` when the cost can't ever fit
    std::chrono::nanoseconds reset_after{0};  ///< until the key is as good as new, if nothing else comes
    std::chrono::nanoseconds delay{0};        ///< hold the request so long before serving it (LeakyBucket), else 0
    /// Set when the store did not answer as usual: `allowed` is then the failure mode's answer, or see Errc.
    std::error_code error = detail::no_error();

    static constexpr std::chrono::nanoseconds never = std::chrono::nanoseconds::max();

    explicit operator bool() const noexcept { return allowed; }

    friend bool operator==(const Decision& a, const Decision& b) noexcept {
        return a.allowed == b.allowed && a.limit == b.limit && a.remaining == b.remaining &&
               a.retry_after == b.retry_after && a.reset_after == b.reset_after && a.delay == b.delay &&
               detail::is_same_error(a.error, b.error);
    }

    /// One line for logs: "allowed, 3 of 10 left, reset after 7s"; durations in nanoseconds' precision, as seconds.
    /// A template, so that only who prints pays for `<ostream>`.
    template <class Traits>
    friend std::basic_ostream<char, Traits>& operator<<(std::basic_ostream<char, Traits>& out,
                                                        const Decision& decision) {
        const auto seconds = [&](const char* label, std::chrono::nanoseconds time) {
            if (time == std::chrono::nanoseconds{0}) return;
            out << ", " << label << ' ';
            if (time == never) {
                out << "never";
                return;
            }
            // Digits by hand: the stream's own flags and precision stay as they are.
            const auto ns = static_cast<std::uint64_t>(time.count());
            char digits[] = ".000000000";
            auto rest = ns % 1'000'000'000;
            for (int i = 9; i != 0; --i, rest /= 10) digits[i] = static_cast<char>('0' + rest % 10);
            std::string_view fraction{digits, 10};
            while (fraction.back() == '0') fraction.remove_suffix(1);
            if (fraction.size() == 1) fraction = {};
            out << ns / 1'000'000'000 << fraction << 's';
        };
        out << (decision.allowed ? "allowed, " : "denied, ") << decision.remaining << " of " << decision.limit
            << " left";
        seconds("retry after", decision.retry_after);
        seconds("reset after", decision.reset_after);
        seconds("delay", decision.delay);
        if (decision.error) out << ", " << decision.error.message().c_str();
        return out;
    }
};

/// What a policy promises, for headers and metrics: `limit` units per `window` (for a bucket the time to fill it).
struct Quota {
    std::uint64_t limit = 0;
    std::chrono::nanoseconds window{0};

    friend bool operator==(const Quota&, const Quota&) = default;
};

}  // namespace sluice

#endif
