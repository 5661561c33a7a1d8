// SPDX-License-Identifier: MIT
#ifndef SLUICE_LAYERS_ASYNC_FALLBACK_HPP
#define SLUICE_LAYERS_ASYNC_FALLBACK_HPP

#include <concepts>
#include <cstdint>
#include <string>
#include <utility>

#include <sluice/completion.hpp>
#include <sluice/decision.hpp>
#include <sluice/error.hpp>
#include <sluice/layers/detail/answer.hpp>
#include <sluice/policy.hpp>
#include <sluice/store.hpp>

namespace sluice::detail::layers {

/// What the secondary's answer becomes.
inline void mark_degraded(Decision& decision) noexcept {
    if (!decision.error) decision.error = Errc::degraded;
}

/// Consumption::source of the store that answered becomes the Fallback's: the lowest bit is 1 of the secondary's.
template <class Answer>
void add_source(Answer& answer, bool is_secondary) noexcept {
    if constexpr (std::same_as<Answer, Consumption>) answer.source = answer.source << 1 | (is_secondary ? 1U : 0U);
}

/// Told by the secondary.
template <class F>
struct SecondaryCompletion : CompletionBefore<F> {
    Operation operation;
    Decision first;  ///< of the primary

    template <class Answer>
    void operator()(Answer answer) && {
        Decision& decision = decision_of(answer);
        if (operation == Operation::reset) {
            if (first.error) decision = first;
        } else {
            mark_degraded(decision);
        }
        add_source(answer, true);
        std::move(this->done)(answer);
    }
};

/// Told by the primary; asks the secondary where that is called for, with copies of all that the request refers to.
template <Policy P, class Secondary, class F>
class PrimaryCompletion {
public:
    /// May throw std::bad_alloc, and then `done` is as it was.
    PrimaryCompletion(const Request<P>& request, const Secondary& secondary, F& done)
        : name_(request.scope.name), key_(request.key), policy_(request.scope.policy), scope_id_(request.scope.id),
          secondary_(secondary), asked_(with_scope(request, Scope<P>{name_, policy_, scope_id_}, {})),
          done_(std::move(done)) {}

    template <class Answer>
    void operator()(Answer answer) && {
        const Decision decision = decision_of(answer);
        const bool asks_both = asked_.operation == Operation::reset;
        const bool has_failed = is_failure(decision.error) && decision.error != Errc::cancelled;
        if (!asks_both && !has_failed) {
            add_source(answer, false);
            std::move(done_)(answer);
            return;
        }
        const Scope<P> scope{name_, policy_, scope_id_};
        ask_async<Answer>(secondary_, with_scope(asked_, scope, key_),
                          SecondaryCompletion<F>{{std::move(done_)}, asked_.operation, decision});
    }
    auto get_allocator() const noexcept { return completion_allocator(done_); }
    bool is_abandoned() const noexcept { return sluice::is_abandoned(done_); }

private:
    std::string name_;
    std::string key_;
    P policy_;
    std::uint64_t scope_id_;
    Secondary secondary_;
    Request<P> asked_;  // but for its views, which a move would leave behind
    F done_;
};

}  // namespace sluice::detail::layers

#endif
