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
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <sluice/http/client_address.hpp>
#include <sluice/http/headers.hpp>
#include <sluice/http/problem.hpp>
#include <sluice/http/rules.hpp>

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

/// Rules, the client's address and the answer to a denied request, in one handle for a server's adapter. Copies
/// share it; all methods may be called by many threads at once.
class Guard {
public:
    explicit Guard(RuleSet rules, GuardOptions options = {})
        : shared_(std::make_shared<Shared>(std::move(rules), std::move(options))) {}

    /// To be replaced while serving: guard.rules().replace(load_rules(...)).
    Rules& rules() const noexcept { return shared_->rules; }

    /// The header that client_address needs, empty for none.
    std::string_view address_header() const noexcept { return shared_->options.client_address.header(); }

    /// Checks and charges one request. `peer` is the socket's address, `forwarded` are the lines of address_header()
    /// in the order they came, `caller` is what the program knows; its addresses are filled in here. `path` is what the
    /// server routes by: decoded if it decodes, and without the query (path_of cuts it off a raw target). With the name
    /// of a rule that one applies, whatever the path.
    Verdict check(std::string_view method, std::string_view path, std::string_view peer,
                  std::span<const std::string_view> forwarded = {}, Caller caller = {},
                  std::string_view rule = {}) const noexcept {
        const auto& finder = shared_->options.client_address;
        caller.address = finder.find(peer, forwarded);
        if (caller.address) caller.block = finder.identity(*caller.address);
        Verdict verdict =
            rule.empty() ? shared_->rules.check(method, path, caller) : shared_->rules.check_named(rule, caller);
        if (!verdict.allowed()) shared_->tell({method, path, caller, verdict});
        return verdict;
    }

    const GuardOptions& options() const noexcept { return shared_->options; }
    /// Whether both are one: copies of a guard charge a request once.
    friend bool operator==(const Guard& a, const Guard& b) noexcept { return a.shared_ == b.shared_; }

    /// Calls set(const char* name, std::string value) for each header that the verdict asks for.
    template <class Set>
    void write_headers(const Verdict& verdict, Set&& set) const {
        shared_->headers.write(verdict.told(), std::forward<Set>(set));
    }

    /// Status and body for a denied request; its headers are write_headers'.
    DenialBody denial(const Verdict& verdict) const { return denial_body(verdict.answers(), shared_->options.body); }

private:
    struct Shared {
        Shared(RuleSet set, GuardOptions chosen)
            : rules(std::move(set)), options(std::move(chosen)), headers(options.headers) {}

        void tell(const Denial& denial) noexcept {
            try {
                if (options.on_denied) options.on_denied(denial);
            } catch (...) {  // the log's trouble is not the request's
            }
            const auto is_misconfigured = [](const PolicyAnswer& answer) {
                return answer.decision.error == Errc::misconfigured;
            };
            const auto answers = denial.verdict.answers();
            const auto answer = std::find_if(answers.begin(), answers.end(), is_misconfigured);
            if (answer == answers.end() || is_told.exchange(true, std::memory_order_relaxed)) return;
            try {
                if (options.on_misconfigured) return options.on_misconfigured(denial);
                const std::string line = "sluice: rule '" + denial.verdict.rule()->name + "', limit '" +
                                         std::string{answer->name} + "': " + answer->decision.error.message() +
                                         "; its requests get 500\n";
                std::fputs(line.c_str(), stderr);
            } catch (...) {
            }
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
