// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_RULES_LIMIT_CALL_HPP
#define SLUICE_HTTP_RULES_LIMIT_CALL_HPP

#include <functional>
#include <string_view>

#include <sluice/detail/exceptions.hpp>
#include <sluice/error.hpp>
#include <sluice/http/answer.hpp>
#include <sluice/http/asked.hpp>
#include <sluice/http/rules/key.hpp>
#include <sluice/http/rules/key_maker.hpp>
#include <sluice/http/rules/rule.hpp>
#include <sluice/policy.hpp>

// What charging one limit and charging several have in common.
namespace sluice::http::detail {

/// What is known of an answer before the limit is asked.
inline PolicyAnswer open_answer(const Limit& limit, const Asked& asked) noexcept {
    const Quota quota = limit.limiter.quota();
    const std::string_view default_unit = limit.cost.is_fixed() ? "" : "units";  // the same in all answers
    return {.name = limit.limiter.name(),
            .quota = quota,
            .cost = limit.cost.of_request(asked, quota.limit),
            .unit = limit.unit.empty() ? default_unit : limit.unit};
}

/// False where there is no memory for the key, which only a long one needs; the answer says so then.
inline bool make_key(const Rule& rule, const Limit& limit, const Asked& asked, Key& key,
                     PolicyAnswer& answer) noexcept {
    const auto make = [&] {
        KeyMaker{rule, asked}.append_to(key, limit);
        if (limit.tells_partition) {
            sluice::detail::Fingerprint print;
            print.add(key.view());
            answer.partition = print.value();
        }
        return true;
    };
    return sluice::detail::try_or(make, [&] {
        answer.decision.error = Errc::no_memory;
        return false;
    });
}

/// Whether the rule's denials count for the client with this key.
inline bool is_enforced(const Rule& rule, std::string_view key) noexcept {
    return rule.enforce_percent == 100 || std::hash<std::string_view>{}(key) % 100 < rule.enforce_percent;
}

}  // namespace sluice::http::detail

#endif
