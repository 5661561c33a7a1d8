// SPDX-License-Identifier: MIT
#ifndef SLUICE_LAYERS_DENIAL_CACHE_HPP
#define SLUICE_LAYERS_DENIAL_CACHE_HPP

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sluice/clock.hpp>
#include <sluice/completion.hpp>
#include <sluice/decision.hpp>
#include <sluice/detail/exceptions.hpp>
#include <sluice/error.hpp>
#include <sluice/layers/denial_cache_options.hpp>
#include <sluice/layers/detail/answer.hpp>
#include <sluice/layers/detail/denials.hpp>
#include <sluice/policy.hpp>
#include <sluice/remote/per_process.hpp>
#include <sluice/store.hpp>

namespace sluice {

/// A store in front of another: remembers in process what the other has denied, and denies it again without asking.
///
///     DenialCache{RedisStore{"redis://..."}}
///     DenialCache{Lease{redis}}
///
/// It denies nothing that the store would have allowed. A denial of cost c with retry_after r, given at the store's time s,
/// says that c does not fit before s + r if nothing else comes; what else consumes leaves less, and what costs more fits no
/// earlier. An entry holds from t, a time that was read before the store was asked and so is no later than s, until t +
/// min(r, cap): not longer than the denial, whatever the two clocks show, as long as they run equally fast. Entries are those
/// of (limiter, policy with its parameters, key), so a tier has its own. What makes a denial wrong is units that come back:
/// a refund, reset or give_back through this object drops the entry before it returns, and no request that was asked before
/// can write it again; one that is made elsewhere, in another process or by a Lease behind this, is seen after `cap` at
/// the latest. Neither an allowance nor an error is ever remembered, nor `never`.
///
/// The Decision is the store's: limit, remaining and reset_after as it said, the two times counted down. Of a request that
/// costs more than the one that was denied, retry_after is a lower bound. A peek goes to the store, and so does a cost
/// above the limit.
///
/// Cost: a hit takes no lock, no allocation and no round trip; a miss some 300 ns more than the store. Full, with max_keys
/// denied keys, nothing more is remembered. Thread-safe; copies share the entries; a forked child has its own. Keys are told
/// apart as by MemoryStore.
template <class S, Clock C = DefaultClock>
class DenialCache {
public:
    static constexpr bool in_process = InProcessStore<S>;  ///< as the store: an allowed request is its
    static constexpr bool carries = CarryingStore<S>;

    /// Throws std::invalid_argument for max_keys out of 1 .. 2^24 or a cap that is not positive, and std::bad_alloc.
    explicit DenialCache(S store, DenialCacheOptions options = {}, C clock = C{})
        : store_(std::move(store)), options_(options.checked()), clock_(std::move(clock)),
          denials_(std::make_shared<Denials>()) {
        static_cast<void>(denials());
    }

    template <Policy P>
    requires Store<S, P> Decision decide(const Request<P>& request)
    const noexcept {
        return pass(request, [&] { return store_.decide(request); });
    }

    template <Policy P>
    requires SettlingStore<S, P> Consumption consume(const Request<P>& request)
    const noexcept {
        return pass(request, [&] { return store_.consume(request); });
    }

    /// A key's times must all be the caller's, or none of them.
    template <Policy P>
    requires TimedStore<S, P> Decision decide_at(const Request<P>& request, std::chrono::nanoseconds now)
    const noexcept {
        return pass(
            request, [&] { return store_.decide_at(request, now); }, now);
    }

    /// A hit calls `done` before it returns.
    template <Policy P, Completion F>
    requires AsyncStore<S, P>
    void decide_async(const Request<P>& request, F done) const noexcept { ask_async<Decision>(request, done); }

    template <Policy P, std::invocable<Consumption> F>
    requires AsyncSettlingStore<S, P>
    void consume_async(const Request<P>& request, F done) const noexcept { ask_async<Consumption>(request, done); }

    /// Only keys that are not known to be denied go to the store, together.
    template <Policy P>
    requires BatchStore<S, P>
    void decide_many(const Request<P>& request, std::span<const std::string_view> keys,
                     std::span<Decision> out) const noexcept {
        if (kept_cost(request) == 0 ||
            !detail::try_or([&] { return decide_open(request, keys, out), true; }, [] { return false; })) {
            store_.decide_many(request, keys, out);
        }
    }

    /// Throws what the store throws that cannot run the policy.
    template <Policy P>
    void check(const Scope<P>& scope) const {
        if constexpr (CheckingStore<S, P>) store_.check(scope);
    }

    const S& store() const noexcept { return store_; }
    DenialCacheStats stats() const noexcept {
        const auto* const known = denials_->peek();
        return known == nullptr ? DenialCacheStats{} : known->stats();
    }

private:
    using Known = detail::layers::Denials<C>;
    using Denials = detail::remote::PerProcess<Known>;
    using Look = typename Known::Look;

    Known& denials() const {
        return denials_->get([this] { return std::make_unique<Known>(options_, clock_); });
    }

    Known* try_denials() const noexcept {
        return detail::try_or([&] { return &denials(); }, [] { return static_cast<Known*>(nullptr); });
    }

    /// The cost that a denial would be of, where one may be remembered and may answer; else 0.
    template <Policy P>
    static std::uint64_t kept_cost(const Request<P>& request) noexcept {
        if (request.operation == Operation::take) return std::min<std::uint64_t>(1, request.units);
        // A request that minds its delay may be denied for that alone.
        const bool is_plain = request.max_delay == std::chrono::nanoseconds::max();
        return request.operation == Operation::consume && is_plain ? request.units : 0;
    }
    template <Policy P>
    static bool gives_units(const Request<P>& request) noexcept {
        return request.operation == Operation::refund || request.operation == Operation::reset ||
               request.operation == Operation::give_back;
    }

    /// `ask()` is the store's answer, a Decision or a Consumption.
    template <Policy P, class Ask, class... Now>
    auto pass(const Request<P>& request, Ask ask, Now... now) const noexcept -> decltype(ask()) {
        Known* const known = try_denials();
        const std::uint64_t cost = kept_cost(request);
        if (known == nullptr) return ask();
        decltype(ask()) answer;
        Look look;
        if (cost != 0 && known->denies(request, request.key, cost, detail::layers::decision_of(answer), look, now...))
            return answer;
        answer = ask();
        if (cost != 0) {
            known->remember(request.scope.id, request.key, cost, detail::layers::decision_of(answer), look,
                            options_.cap, now...);
        } else if (gives_units(request)) {
            known->forget(request.scope.id, request.key);
        }
        return answer;
    }

    template <class Answer, Policy P, class F>
    void ask_async(const Request<P>& request, F& done) const noexcept {
        Known* const known = try_denials();
        const std::uint64_t cost = kept_cost(request);
        if (known == nullptr || (cost == 0 && !gives_units(request)))
            return detail::layers::ask_async<Answer>(store_, request, std::move(done));
        Answer answer;
        Look look;
        if (cost != 0 && known->denies(request, request.key, cost, detail::layers::decision_of(answer), look))
            return std::move(done)(answer);
        detail::try_or(
            [&] {
                std::string key{request.key};
                detail::layers::ask_async<Answer>(store_, request,
                                                  detail::layers::DenialCompletion<Known, F>{{denials_, known},
                                                                                             request.scope.id,
                                                                                             std::move(key),
                                                                                             cost,
                                                                                             look,
                                                                                             options_.cap,
                                                                                             std::move(done)});
            },
            [&] { std::move(done)(Answer{failure(Errc::no_memory)}); });
    }

    template <Policy P>
    void decide_open(const Request<P>& request, std::span<const std::string_view> keys, std::span<Decision> out) const {
        Known& known = denials();
        const std::uint64_t cost = kept_cost(request);
        std::vector<std::string_view> open;
        std::vector<std::pair<std::size_t, Look>> looks;
        for (std::size_t i = 0; i != keys.size(); ++i) {
            Look look;
            out[i] = Decision{};
            if (known.denies(request, keys[i], cost, out[i], look)) continue;
            open.push_back(keys[i]);
            looks.emplace_back(i, look);
        }
        if (open.empty()) return;
        std::vector<Decision> answers(open.size());
        store_.decide_many(request, open, answers);
        for (std::size_t i = 0; i != open.size(); ++i) {
            out[looks[i].first] = answers[i];
            known.remember(request.scope.id, open[i], cost, answers[i], looks[i].second, options_.cap);
        }
    }

    S store_;
    DenialCacheOptions options_;
    C clock_;
    std::shared_ptr<Denials> denials_;
};

}  // namespace sluice

#endif
