// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_SUPPORT_FAILING_STORE_HPP
#define SLUICE_TESTS_SUPPORT_FAILING_STORE_HPP

#include <atomic>
#include <chrono>
#include <concepts>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include <sluice/completion.hpp>
#include <sluice/error.hpp>
#include <sluice/store.hpp>

/// Passes everything on to another store until it is told to fail. Copies fail together.
template <class S>
class FailingStore {
public:
    explicit FailingStore(S store) : store_(std::move(store)) {}

    void fail(sluice::Errc error) const { state_->error = error; }
    void recover() const { state_->error = sluice::Errc{}; }
    int calls() const { return state_->calls; }

    template <sluice::Policy P>
    requires sluice::Store<S, P> sluice::Decision decide(const sluice::Request<P>& request)
    const noexcept {
        ++state_->calls;
        return failed() ? failure() : store_.decide(request);
    }
    template <sluice::Policy P>
    requires sluice::SettlingStore<S, P> sluice::Consumption consume(const sluice::Request<P>& request)
    const noexcept {
        ++state_->calls;
        if (!failed()) return store_.consume(request);
        sluice::Consumption none;
        none.decision = failure();
        return none;
    }
    /// Has the answer at once.
    template <sluice::Policy P, sluice::Completion F>
    requires sluice::Store<S, P>
    void decide_async(const sluice::Request<P>& request, F done) const noexcept { std::move(done)(decide(request)); }
    template <sluice::Policy P, std::invocable<sluice::Consumption> F>
    requires sluice::SettlingStore<S, P>
    void consume_async(const sluice::Request<P>& request, F done) const noexcept { std::move(done)(consume(request)); }
    template <sluice::Policy P>
    requires sluice::TimedStore<S, P> sluice::Decision decide_at(const sluice::Request<P>& request,
                                                                 std::chrono::nanoseconds now)
    const noexcept {
        ++state_->calls;
        return failed() ? failure() : store_.decide_at(request, now);
    }
    /// Failing or not, keys that begin with '!' fail.
    template <sluice::Policy P>
    requires sluice::BatchStore<S, P>
    void decide_many(const sluice::Request<P>& request, std::span<const std::string_view> keys,
                     std::span<sluice::Decision> out) const noexcept {
        ++state_->calls;
        for (std::size_t i = 0; i != keys.size(); ++i) {
            if (failed() || keys[i].starts_with('!')) {
                out[i] = failure();
            } else {
                store_.decide_many(request, keys.subspan(i, 1), out.subspan(i, 1));
            }
        }
    }

private:
    struct State {
        std::atomic<sluice::Errc> error{};
        std::atomic<int> calls{0};
    };

    bool failed() const { return state_->error.load() != sluice::Errc{}; }
    sluice::Decision failure() const {
        sluice::Decision decision;
        decision.error = failed() ? state_->error.load() : sluice::Errc::server_error;
        return decision;
    }

    S store_;
    std::shared_ptr<State> state_ = std::make_shared<State>();
};

#endif
