// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_GUARD_HPP
#define SLUICE_HTTP_GUARD_HPP

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <sluice/detail/exceptions.hpp>
#include <sluice/http/asked.hpp>
#include <sluice/http/client/client_address.hpp>
#include <sluice/http/fields.hpp>
#include <sluice/http/headers.hpp>
#include <sluice/http/problem.hpp>
#include <sluice/http/rules/rules.hpp>

namespace sluice::http {

/// A denied request, as GuardOptions::on_denied sees it. The views live only as long as the call.
struct Denial {
    std::string_view method, path;
    const Caller& caller;
    const Verdict& verdict;
};

struct GuardOptions {
    HeaderOptions headers{};
    BodyStyle body = BodyStyle::problem;
    DenialTemplate answer{};  ///< in the place of `body`; a rule's own goes before it
    /// The last word about a denial: may change status, content type and body. Called by any thread; where it throws, what
    /// it left is sent.
    std::function<void(const Denial&, DenialBody&)> compose{};
    ClientAddress client_address{};
    /// Called for each denial by any thread; what it throws is dropped. DenialLog keeps it from flooding a log.
    std::function<void(const Denial&)> on_denied{};
    /// Called once, at the first request that is denied (500) because its limit's store cannot work as it is configured.
    /// Without one a line goes to stderr.
    std::function<void(const Denial&)> on_misconfigured{};
    /// The longest that an adapter holds a request which a LeakyBucket paces: 0 for not at all, where the handler has
    /// to mind Verdict::delay() or the bucket only counts. A held request keeps a thread of the server busy.
    std::chrono::nanoseconds max_hold{0};
    /// How much of a denied request's body is read, and for how long, so that the answer reaches clients that write all
    /// before they read. Then the connection is closed.
    std::uint64_t max_drained = std::uint64_t{64} * 1024 * 1024;
    std::chrono::nanoseconds max_drain_time = std::chrono::seconds{5};
};

/// What an adapter has to do with a request.
struct Answer {
    Answer() noexcept {}  // an aggregate's thousand bytes would be zeroed

    bool allowed = true;
    Verdict verdict{};
    FieldList fields{};   ///< rate limit fields, of every answer: put in after the handler, who may have some
    DenialBody denial{};  ///< where it is not allowed: what to send
    /// How long to hold the request before it is handled: for adapters that keep no thread meanwhile. A blocking one
    /// keeps to GuardOptions::max_hold.
    std::chrono::nanoseconds delay{0};
};

/// Rules, the client's address and the answer to a request, in one handle for a server's adapter. Copies share it; all
/// methods may be called by many threads at once.
class Guard {
public:
    explicit Guard(RuleSet rules, GuardOptions options = {})
        : shared_(std::make_shared<Shared>(std::move(rules), std::move(options))) {}

    /// To be replaced while serving: guard.rules().replace(load_rules(...)).
    Rules& rules() const noexcept { return shared_->rules; }

    /// Checks and charges one request and says how to answer it. Where memory is out, a denial has a status alone.
    Answer handle(Asked asked) const noexcept {
        Answer answer;
        handle(std::move(asked), answer);
        return answer;
    }
    /// The same into an answer that has just been made, in its place.
    void handle(Asked&& asked, Answer& answer) const noexcept {
        find_client(asked);
        shared_->rules.check(asked, answer.verdict);
        conclude(asked, answer);
    }

    /// The same without waiting for the limits' stores: done(Answer) is called once, where the store that answers last calls
    /// (see AsyncStore), or before this returns. For limits on AsyncRedis and the like; of others it asks what handle() asks.
    /// What `asked` refers to must live until then, but for the callable of its header. `done` must not throw.
    ///
    /// All that is said of handle() and Rules::check() holds, but that limits outside of this process are asked all at once: on
    /// one Redis in one round trip. What goes back, also by Verdict::settle(), is sent and not waited for, so it belongs where
    /// the store's calls do. One allocation beside the store's; without memory for it the request is denied (503).
    /// Defined in async_guard.hpp.
    template <class F>
    void handle_async(Asked asked, F done) const noexcept;

    /// The same without an answer.
    Verdict check(Asked asked) const noexcept {
        find_client(asked);
        Verdict verdict = shared_->rules.check(asked);
        if (!verdict.allowed()) shared_->tell({asked.method, asked.path, asked.caller, verdict});
        return verdict;
    }

    /// Whether handle() may wait for a store outside of this process, for servers whose threads must not: by the limits of the
    /// request's rule, without asking them.
    bool may_wait(const Asked& asked) const noexcept {
        const auto rules = shared_->rules.current();
        const Rule* rule = rules->rule_of(asked);
        return rule != nullptr && rule->may_wait();
    }

    const GuardOptions& options() const noexcept { return shared_->options; }
    /// Whether both are one: copies of a guard charge a request once.
    friend bool operator==(const Guard& a, const Guard& b) noexcept { return a.shared_ == b.shared_; }

    /// Calls set(const char* name, std::string value) for each header that the verdict asks for.
    template <class Set>
    void write_headers(const Verdict& verdict, Set&& set) const {
        shared_->headers.write(verdict.told(), std::forward<Set>(set));
    }

    /// Status and body for a denied request, without GuardOptions::compose; its headers are write_headers'.
    DenialBody denial(const Verdict& verdict) const {
        const int status = verdict.is_forbidden() ? 403 : denial_status(verdict.answers());
        DenialBody body = denial_body(verdict.answers(), shared_->options.body, status);
        const Rule* rule = verdict.rule();
        const bool has_own = rule != nullptr && rule->answer.says_something();
        (has_own ? rule->answer : shared_->options.answer).apply(verdict.answers(), body);
        return body;
    }

private:
    template <class F>
    struct Pending;

    /// Says how to answer, by the verdict in it.
    void conclude(const Asked& asked, Answer& answer) const noexcept {
        answer.allowed = answer.verdict.allowed();
        answer.delay = answer.verdict.delay();
        const Denial denial{asked.method, asked.path, asked.caller, answer.verdict};
        if (!answer.allowed) shared_->tell(denial);
        const auto fill_in = [&] {
            if (!answer.allowed) compose(denial, answer.denial);
            shared_->headers.write(answer.verdict.told(), answer.fields);
        };
        sluice::detail::try_or(fill_in, [] {});
    }

    void find_client(Asked& asked) const noexcept {
        const auto& finder = shared_->options.client_address;
        Caller& caller = asked.caller;
        if (!caller.address) {
            const auto header = finder.header();
            caller.address =
                header.empty() ? finder.find(asked.peer) : finder.find(asked.peer, asked.header(header).lines());
        }
        if (caller.address) caller.block = finder.identity(*caller.address);
    }

    void compose(const Denial& told, DenialBody& body) const {
        body = denial(told.verdict);
        const auto& own = shared_->options.compose;
        if (own) sluice::detail::try_or([&] { own(told, body); }, [] {});
    }

    struct Shared {
        Shared(RuleSet set, GuardOptions chosen)
            : rules(std::move(set)), options(std::move(chosen)), headers(options.headers) {}

        /// The log's trouble is not the request's.
        void tell(const Denial& denial) noexcept {
            sluice::detail::try_or(
                [&] {
                    if (options.on_denied) options.on_denied(denial);
                },
                [] {});
            sluice::detail::try_or([&] { tell_misconfigured(denial); }, [] {});
        }

        void tell_misconfigured(const Denial& denial) {
            const auto is_misconfigured = [](const PolicyAnswer& answer) {
                return answer.decision.error == Errc::misconfigured;
            };
            const auto answers = denial.verdict.answers();
            const auto answer = std::find_if(answers.begin(), answers.end(), is_misconfigured);
            if (answer == answers.end() || is_told.exchange(true, std::memory_order_relaxed)) return;
            if (options.on_misconfigured) return options.on_misconfigured(denial);
            const std::string line = "sluice: rule '" + denial.verdict.rule()->name + "', limit '" +
                                     std::string{answer->name} + "': " + answer->decision.error.message() +
                                     "; its requests get 500\n";
            std::fputs(line.c_str(), stderr);
        }

        Rules rules;
        GuardOptions options;
        HeaderWriter headers;
        std::atomic<bool> is_told{false};  // the operator, of a misconfigured limit
    };
    std::shared_ptr<Shared> shared_;
};

}  // namespace sluice::http

#endif
