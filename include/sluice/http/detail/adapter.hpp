// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_DETAIL_ADAPTER_HPP
#define SLUICE_HTTP_DETAIL_ADAPTER_HPP

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <thread>

#include <sluice/http/caller.hpp>
#include <sluice/http/client_address.hpp>
#include <sluice/http/guard.hpp>

// What the adapters for web frameworks share.
namespace sluice::http::detail {

/// The lines of a header in the order they came. Some frameworks keep headers in an unordered map, which gives lines
/// of one name in any order: several lines are then one that cannot be read, and so is too long a list.
class HeaderLines {
public:
    template <class Headers>
    HeaderLines(const Headers& headers, std::string_view name) {
        if (name.empty()) return;
        constexpr bool in_order = !requires { typename Headers::hasher; };
        const auto [first, last] = headers.equal_range(std::string{name});
        for (auto line = first; line != last; ++line) {
            if (count_ == lines_.size() || (count_ == 1 && !in_order)) {
                lines_[0] = unreadable;
                count_ = 1;
                return;
            }
            lines_[count_++] = line->second;
        }
    }

    std::span<const std::string_view> lines() const noexcept { return {lines_.data(), count_}; }

private:
    static constexpr std::string_view unreadable = "";

    std::array<std::string_view, ClientAddress::max_hops> lines_{};
    std::size_t count_ = 0;
};

/// Holds a request that a LeakyBucket paces, if the guard is told to.
inline void hold(const Verdict& verdict, const GuardOptions& options) noexcept {
    const auto time = std::min(verdict.delay(), options.max_hold);
    if (time > std::chrono::nanoseconds{0}) std::this_thread::sleep_for(time);
}

/// What the program says about the caller; nothing where it throws.
template <class Identify, class Request>
Caller identified(const Identify& identify, const Request& request) noexcept {
    try {
        return identify(request);
    } catch (...) {
        return {};
    }
}

}  // namespace sluice::http::detail

#endif
