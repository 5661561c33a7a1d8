// SPDX-License-Identifier: MIT
#ifndef SLUICE_LAYERS_DETAIL_ANSWER_HPP
#define SLUICE_LAYERS_DETAIL_ANSWER_HPP

#include <concepts>
#include <utility>

#include <sluice/decision.hpp>
#include <sluice/policy.hpp>
#include <sluice/store.hpp>

// A store answers with a Decision or, where what was taken is to be known, a Consumption. A layer does the same with both.
namespace sluice::detail::layers {

inline Decision& decision_of(Decision& answer) noexcept { return answer; }
inline Decision& decision_of(Consumption& answer) noexcept { return answer.decision; }

/// decide_async() or consume_async().
template <class Answer, class S, Policy P, class F>
void ask_async(const S& store, const Request<P>& request, F done) noexcept {
    if constexpr (std::same_as<Answer, Consumption>) {
        store.consume_async(request, std::move(done));
    } else {
        store.decide_async(request, std::move(done));
    }
}

}  // namespace sluice::detail::layers

#endif
