// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_ANSWER_HPP
#define SLUICE_HTTP_ANSWER_HPP

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include <sluice/decision.hpp>
#include <sluice/error.hpp>

namespace sluice::http {

/// What one limit answered to one request: all that headers and bodies are made of.
struct PolicyAnswer {
    std::string_view name;  ///< is_policy_name(name) holds
    Quota quota;
    Decision decision{};
    std::uint64_t cost = 1;   ///< of each request; else than 1, the quota does not count requests
    bool asked = true;        ///< false: denied before it came to this limit, whose decision is then not known
    std::string_view unit{};  ///< what the quota counts; empty for requests, or units where the cost is not 1
    std::optional<std::uint64_t> partition{};  ///< a hash of the key, where clients are told of it
};

/// The answer that binds: of denials the one with the longest wait, else the least remaining; the first on a tie.
/// Between equals a store's decision comes before an error's. Null for no answers.
inline const PolicyAnswer* binding(std::span<const PolicyAnswer> answers) noexcept {
    const auto binds_more = [](const Decision& a, const Decision& b) {
        if (a.allowed != b.allowed) return !a.allowed;
        if (is_decided(a.error) != is_decided(b.error)) return is_decided(a.error);
        return a.allowed ? a.remaining < b.remaining : a.retry_after > b.retry_after;
    };
    const PolicyAnswer* most = nullptr;
    for (const auto& answer : answers) {
        if (!answer.asked) continue;
        if (most == nullptr || binds_more(answer.decision, most->decision)) most = &answer;
    }
    return most;
}

}  // namespace sluice::http

#endif
