// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_GUARD_HPP
#define SLUICE_HTTP_GUARD_HPP

#include <functional>
#include <memory>
#include <span>
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
    /// in the order they came, `caller` is what the program knows; its addresses are filled in here.
    Verdict check(std::string_view method, std::string_view path, std::string_view peer,
                  std::span<const std::string_view> forwarded = {}, Caller caller = {}) const noexcept {
        const auto& finder = shared_->options.client_address;
        caller.address = finder.find(peer, forwarded);
        if (caller.address) caller.block = finder.identity(*caller.address);
        Verdict verdict = shared_->rules.check(method, path, caller);
        if (!verdict.allowed() && shared_->options.on_denied) {
            try {
                shared_->options.on_denied({method, path, caller, verdict});
            } catch (...) {  // the log's trouble is not the request's
            }
        }
        return verdict;
    }

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
        Rules rules;
        GuardOptions options;
        HeaderWriter headers;
    };
    std::shared_ptr<Shared> shared_;
};

}  // namespace sluice::http

#endif
