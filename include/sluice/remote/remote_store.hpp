// SPDX-License-Identifier: MIT
#ifndef SLUICE_REMOTE_REMOTE_STORE_HPP
#define SLUICE_REMOTE_REMOTE_STORE_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/store.hpp>

namespace sluice::detail::remote {

/// What all stores on servers have in common: a deadline for each call, keys that are too long, many keys at once, and
/// failures. The backend does the rest; copies share it:
///
///     static constexpr std::size_t max_key_bytes;      // longer keys are refused here
///     static constexpr std::size_t max_keys;           // of one ask()
///     std::chrono::nanoseconds timeout() const;        // of one call
///     // May throw; the keys fit. An error is everybody's; else the last put(i, Consumption) of each key counts. Never sent
///     // when there is too little time. `settles`: it has to tell what was taken.
///     template <Policy P, class Put>
///     std::error_code ask(const Request<P>&, std::span<const std::string_view> keys, bool settles,
///                         std::optional<std::chrono::nanoseconds> now, const Deadline&, Put);
///     std::error_code ping(const Deadline&);           // may throw
///     template <Policy P> void check(const Scope<P>&); // throws std::invalid_argument
///     Stats stats() const;
///     void count_failure(std::error_code);             // of one decision
template <class Backend>
class RemoteStore {
public:
    using Now = std::optional<std::chrono::nanoseconds>;
    static constexpr bool carries = true;  ///< see CarryingStore

    explicit RemoteStore(std::shared_ptr<Backend> backend) noexcept : backend_(std::move(backend)) {}

    template <Policy P>
    Decision decide(const Request<P>& request, Now now = std::nullopt) const noexcept {
        Decision decision;
        decide_fitting(request, {&request.key, 1}, {&decision, 1}, now, Deadline{backend_->timeout()});
        return decision;
    }
    /// At a time of the caller's instead of the server's, for tests and replays: one key must not mix the two. Its keys
    /// live for an hour at least.
    template <Policy P>
    Decision decide_at(const Request<P>& request, std::chrono::nanoseconds now) const noexcept {
        return decide(request, now);
    }

    /// decide() of a request to consume or to take, and what it took.
    template <Policy P>
    Consumption consume(const Request<P>& request, Now now = std::nullopt) const noexcept {
        Consumption consumption;
        std::error_code error;
        try {
            const auto put = [&](std::size_t, const Consumption& one) { consumption = one; };
            error = fits(request.key)
                        ? backend_->ask(request, {&request.key, 1}, true, now, Deadline{backend_->timeout()}, put)
                        : make_error_code(Errc::invalid_argument);
        } catch (...) {
            error = Errc::no_memory;
        }
        if (error) consumption = {failure(error)};
        if (consumption.decision.error) backend_->count_failure(consumption.decision.error);
        return consumption;
    }
    template <Policy P>
    Consumption consume_at(const Request<P>& request, std::chrono::nanoseconds now) const noexcept {
        return consume(request, now);
    }

    /// As many keys as there is time for: those that are not reached before the deadline carry Errc::timeout, and were
    /// not sent.
    template <Policy P>
    void decide_many(const Request<P>& request, std::span<const std::string_view> keys, std::span<Decision> out,
                     Now now = std::nullopt) const noexcept {
        const Deadline deadline{backend_->timeout()};
        for (std::size_t done = 0; done < keys.size(); done += Backend::max_keys) {
            const std::size_t count = std::min(Backend::max_keys, keys.size() - done);
            decide_fitting(request, keys.subspan(done, count), out.subspan(done, count), now, deadline);
            // Where the time did not suffice for these, it does not for more.
            const bool is_late = deadline.has_passed() || out[done + count - 1].error == Errc::timeout;
            if (!is_late) continue;
            fail(out.subspan(done + count), Errc::timeout);
            return;
        }
    }
    template <Policy P>
    void decide_many_at(const Request<P>& request, std::chrono::nanoseconds now, std::span<const std::string_view> keys,
                        std::span<Decision> out) const noexcept {
        decide_many(request, keys, out, now);
    }

    /// Whether the server could decide: for health checks. On a connection of its own, whatever the breaker says.
    std::error_code ping(std::chrono::nanoseconds timeout) const noexcept {
        try {
            return backend_->ping(Deadline{timeout});
        } catch (...) {
            return Errc::no_memory;
        }
    }

    auto stats() const noexcept { return backend_->stats(); }

    /// Throws std::invalid_argument where the server cannot run the policy exactly, std::bad_alloc. The limiter's
    /// constructor asks; a call with such a policy of its own is denied with Errc::misconfigured.
    template <Policy P>
    void check(const Scope<P>& scope) const {
        backend_->check(scope);
    }

protected:
    const std::shared_ptr<Backend>& backend() const noexcept { return backend_; }

private:
    template <Policy P>
    void decide_fitting(const Request<P>& request, std::span<const std::string_view> keys, std::span<Decision> out,
                        Now now, const Deadline& deadline) const noexcept {
        try {
            if (std::all_of(keys.begin(), keys.end(), fits)) {
                ask(request, keys, out, now, deadline);
            } else {
                decide_those_that_fit(request, keys, out, now, deadline);
            }
        } catch (...) {
            fail(out, Errc::no_memory);
        }
    }

    template <Policy P>
    void decide_those_that_fit(const Request<P>& request, std::span<const std::string_view> keys,
                               std::span<Decision> out, Now now, const Deadline& deadline) const {
        std::vector<std::string_view> fitting;
        std::copy_if(keys.begin(), keys.end(), std::back_inserter(fitting), fits);
        std::vector<Decision> decisions(fitting.size());
        if (!fitting.empty()) ask(request, fitting, decisions, now, deadline);
        auto next = decisions.begin();
        for (std::size_t i = 0; i != keys.size(); ++i) {
            if (fits(keys[i])) {
                out[i] = *next++;
            } else {
                fail(out.subspan(i, 1), Errc::invalid_argument);
            }
        }
    }

    template <Policy P>
    void ask(const Request<P>& request, std::span<const std::string_view> keys, std::span<Decision> out, Now now,
             const Deadline& deadline) const {
        const auto put = [&](std::size_t i, const Consumption& one) { out[i] = one.decision; };
        if (const auto error = backend_->ask(request, keys, false, now, deadline, put)) {
            fail(out, error);
            return;
        }
        for (const Decision& decision : out) {
            if (decision.error) backend_->count_failure(decision.error);
        }
    }

    void fail(std::span<Decision> out, std::error_code error) const noexcept {
        for (Decision& decision : out) {
            decision = failure(error);
            backend_->count_failure(error);
        }
    }

    static bool fits(std::string_view key) noexcept { return key.size() <= Backend::max_key_bytes; }

    std::shared_ptr<Backend> backend_;
};

}  // namespace sluice::detail::remote

#endif
