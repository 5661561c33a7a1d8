// SPDX-License-Identifier: MIT
#ifndef SLUICE_LOOP_STORE_HPP
#define SLUICE_LOOP_STORE_HPP

#include <concepts>
#include <utility>

#include <sluice/completion.hpp>
#include <sluice/decision.hpp>
#include <sluice/error.hpp>
#include <sluice/policy.hpp>
#include <sluice/store.hpp>

namespace sluice::detail {

/// A store of event loops as those hold it who know its calls only at run time. What would have to wait for an answer is
/// refused: Errc::misconfigured. What goes back, or is taken afterwards, needs none: it is sent, and taken for done.
template <class S>
class LoopStore {
public:
    explicit LoopStore(S store) : store_(std::move(store)) {}

    template <Policy P>
    requires AsyncStore<S, P> Decision decide(const Request<P>& request)
    const noexcept {
        const auto operation = request.operation;
        const bool needs_no_answer =
            operation == Operation::give_back || operation == Operation::refund || operation == Operation::reset;
        if (!needs_no_answer) return failure(Errc::misconfigured);
        store_.decide_async(request, [](Decision) {});
        return {};
    }
    template <Policy P>
    requires AsyncSettlingStore<S, P> Consumption consume(const Request<P>& request)
    const noexcept {
        if (request.operation != Operation::take) return {failure(Errc::misconfigured)};
        store_.consume_async(request, [](Consumption) {});
        return {{.allowed = true}, request.units};
    }

    template <Policy P, Completion F>
    requires AsyncStore<S, P>
    void decide_async(const Request<P>& request, F done) const noexcept {
        store_.decide_async(request, std::move(done));
    }
    template <Policy P, std::invocable<Consumption> F>
    requires AsyncSettlingStore<S, P>
    void consume_async(const Request<P>& request, F done) const noexcept {
        store_.consume_async(request, std::move(done));
    }

    template <Policy P>
    requires CheckingStore<S, P>
    void check(const Scope<P>& scope) const { store_.check(scope); }

    const S& store() const noexcept { return store_; }

private:
    S store_;
};

}  // namespace sluice::detail

#endif
