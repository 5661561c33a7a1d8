// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_RULES_COST_HPP
#define SLUICE_HTTP_RULES_COST_HPP

#include <algorithm>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <utility>

#include <sluice/detail/exceptions.hpp>
#include <sluice/detail/validate.hpp>
#include <sluice/http/asked.hpp>
#include <sluice/http/detail/request_values.hpp>
#include <sluice/units.hpp>

namespace sluice::http {

/// What a request takes of a limit: a number, one unit for so many bytes of its body, or what a function says.
class Cost {
public:
    using Function = std::function<std::uint64_t(const Asked&)>;

    /// Of 1 or more; a RuleSet refuses others.
    template <sluice::detail::Integer I>
    Cost(I units) noexcept : units_(Units{units}.count()) {}

    /// One unit for each `bytes` begun, at least 1. A body of unknown length (chunked) costs the whole quota: else it
    /// would be the way around the limit. Throws std::invalid_argument for 0 bytes.
    static Cost of_body(std::uint64_t bytes) {
        if (bytes == 0) throw std::invalid_argument("sluice: a cost by body size needs at least 1 byte for a unit");
        Cost cost{1};
        cost.bytes_ = bytes;
        return cost;
    }
    /// What `function` says, called by many threads at once; 0 is free, more than the quota is denied. Where it throws,
    /// the whole quota.
    static Cost of(Function function) {
        if (!function) throw std::invalid_argument("sluice: a cost's function is empty");
        Cost cost{1};
        cost.function_ = std::move(function);
        return cost;
    }

    /// The number; 1 where it depends on the request.
    std::uint64_t units() const noexcept { return units_; }
    bool is_of_body() const noexcept { return bytes_ != 0; }
    /// Whether all requests cost the same.
    bool is_fixed() const noexcept { return bytes_ == 0 && !function_; }

    std::uint64_t of_request(const Asked& asked, std::uint64_t quota) const noexcept {
        if (is_fixed()) return units_;
        if (function_) {
            return sluice::detail::try_or([&] { return function_(asked); }, [&] { return quota; });
        }
        const auto size = detail::body_size_of(asked);
        return size ? std::max<std::uint64_t>(*size / bytes_ + (*size % bytes_ != 0 ? 1 : 0), 1) : quota;
    }

private:
    std::uint64_t units_;
    std::uint64_t bytes_ = 0;
    Function function_{};
};

}  // namespace sluice::http

#endif
