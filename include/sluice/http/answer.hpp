// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_ANSWER_HPP
#define SLUICE_HTTP_ANSWER_HPP

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

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

inline constexpr std::size_t max_limits = 4;  ///< of one tier

namespace detail {

/// The answers of one tier's limits. Only those that are there are ever written or copied: a request has one, as a rule.
class AnswerList {
public:
    AnswerList() noexcept {}
    AnswerList(const AnswerList& other) noexcept { *this = other; }
    AnswerList& operator=(const AnswerList& other) noexcept {
        size_ = other.size_;
        std::uninitialized_copy_n(other.answers_, size_, answers_);
        return *this;
    }

    PolicyAnswer& add(const PolicyAnswer& answer) noexcept { return *std::construct_at(answers_ + size_++, answer); }
    PolicyAnswer& operator[](std::size_t index) noexcept { return answers_[index]; }
    std::size_t size() const noexcept { return size_; }
    std::span<PolicyAnswer> all() noexcept { return {answers_, size_}; }
    std::span<const PolicyAnswer> all() const noexcept { return {answers_, size_}; }

private:
    static_assert(std::is_trivially_copyable_v<PolicyAnswer> && std::is_trivially_destructible_v<PolicyAnswer>);

    std::size_t size_ = 0;
    union {
        PolicyAnswer answers_[max_limits];
    };
};

}  // namespace detail

}  // namespace sluice::http

#endif
