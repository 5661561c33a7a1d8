// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_ASYNC_GUARD_HPP
#define SLUICE_HTTP_ASYNC_GUARD_HPP

#include <memory>
#include <utility>

#include <sluice/detail/exceptions.hpp>
#include <sluice/http/asked.hpp>
#include <sluice/http/guard.hpp>
#include <sluice/http/rules/async_charging.hpp>
#include <sluice/http/rules/charging.hpp>
#include <sluice/http/rules/rules.hpp>

// Guard::handle_async: for event loops and coroutines.
namespace sluice::http {

/// A request whose limits have not all answered.
template <class F>
struct Guard::Pending {
    Pending(const Guard& of, Asked&& of_request, F& then)
        : guard(of), asked(std::move(of_request)), charging(answer.verdict, of.rules().applied(asked), asked),
          done(std::move(then)) {}

    Guard guard;
    Asked asked;
    Answer answer{};
    detail::AsyncCharging charging;
    F done;
};

template <class F>
void Guard::handle_async(Asked asked, F done) const noexcept {
    find_client(asked);
    auto* const pending = sluice::detail::try_or(
        [&] {
            return new Pending<F>{*this, std::move(asked), done};
        },
        []() -> Pending<F>* { return nullptr; });
    if (pending == nullptr) {
        Answer answer;
        const auto rules = shared_->rules.current();
        detail::Charging{answer.verdict, {rules, &rules->deny_rule(), true}, asked}.charge();
        answer.allowed = false;
        answer.denial.status = 503;
        return std::move(done)(std::move(answer));
    }
    pending->charging.start([pending] {
        const std::unique_ptr<Pending<F>> mine{pending};
        mine->guard.conclude(mine->asked, mine->answer);
        std::move(mine->done)(std::move(mine->answer));
    });
}

}  // namespace sluice::http

#endif
