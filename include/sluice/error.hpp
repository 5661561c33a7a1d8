// SPDX-License-Identifier: MIT
#ifndef SLUICE_ERROR_HPP
#define SLUICE_ERROR_HPP

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>

#include <sluice/decision.hpp>
#include <sluice/detail/cpp20.hpp>

namespace sluice {

/// Why a store could not answer as usual. A denial is not an error: it is a Decision without one.
enum class Errc {
    no_memory = 1,     ///< the store could not allocate the key's state
    store_full,        ///< every slot holds a live state; `allowed` is what MemoryOptions::on_full says
    degraded,          ///< a fallback store decided: `allowed` is a real decision, not the failure mode's
    invalid_argument,  ///< the call itself is wrong (negative units, a key too long for the store): always denied
    unsupported,       ///< the policy or the store cannot do this operation
    timeout,           ///< no answer before the deadline; whether the request was charged is unknown
    refused,           ///< the server does not accept connections
    disconnected,      ///< the connection broke; whether the request was charged is unknown
    unresolved,        ///< the server's name has no address
    breaker_open,      ///< not asked: the store failed repeatedly and is left alone for a moment
    authentication,    ///< the server wants other credentials: a password, or a TLS client certificate
    permission,        ///< the server's user may not run what the store needs
    read_only,         ///< the server is a replica or in a read-only transaction
    loading,           ///< the server is starting
    busy,              ///< the server is occupied (a blocking script, too many clients, a lock), or too many calls wait
    server_full,       ///< the server has no memory or no disk left
    wrong_type,        ///< the key belongs to somebody else
    protocol,          ///< the server's answer cannot be understood
    server_error,      ///< any other error that the server reports
    misconfigured,     ///< the program has to be changed: a policy that the store cannot run, a server in cluster mode
                       ///< behind a plain URL, TLS on one side alone: always denied
    certificate_expired,    ///< the server's TLS certificate is valid no more, or not yet
    certificate_mismatch,   ///< the server's TLS certificate is for another host name or address
    certificate_untrusted,  ///< the server's TLS certificate is of no trusted authority, revoked, or for another use
    cancelled,              ///< the caller gave up, or the object that was to answer is gone
};

/// What `allowed` is when the store failed. `deny` for logins and payments, `allow` for nearly everything else.
enum class FailureMode { allow, deny };

namespace detail {

struct ErrcEntry {
    Errc code;
    std::string_view name;  // as in metrics
    const char* message;
};

/// All there is to know of the codes, in their order.
inline constexpr std::array errc_table{
    ErrcEntry{Errc::no_memory, "no_memory", "out of memory for the key's state"},
    ErrcEntry{Errc::store_full, "store_full", "every slot of the store holds a live state"},
    ErrcEntry{Errc::degraded, "degraded", "decided by the fallback store"},
    ErrcEntry{Errc::invalid_argument, "invalid_argument", "invalid argument"},
    ErrcEntry{Errc::unsupported, "unsupported", "operation not supported by this policy or store"},
    ErrcEntry{Errc::timeout, "timeout", "the store did not answer in time"},
    ErrcEntry{Errc::refused, "refused", "the store refused the connection"},
    ErrcEntry{Errc::disconnected, "disconnected", "the connection to the store broke"},
    ErrcEntry{Errc::unresolved, "unresolved", "the store's host name could not be resolved"},
    ErrcEntry{Errc::breaker_open, "breaker_open", "the store failed repeatedly and is not asked for the moment"},
    ErrcEntry{Errc::authentication, "authentication", "the store rejected the credentials"},
    ErrcEntry{Errc::permission, "permission", "the store's user lacks a permission"},
    ErrcEntry{Errc::read_only, "read_only", "the store is read-only"},
    ErrcEntry{Errc::loading, "loading", "the store is starting"},
    ErrcEntry{Errc::busy, "busy", "the store is busy"},
    ErrcEntry{Errc::server_full, "server_full", "the store's server has no memory or disk left"},
    ErrcEntry{Errc::wrong_type, "wrong_type", "the key holds a value of another kind"},
    ErrcEntry{Errc::protocol, "protocol", "the store's answer could not be understood"},
    ErrcEntry{Errc::server_error, "server_error", "the store reported an error"},
    ErrcEntry{Errc::misconfigured, "misconfigured", "the store is configured so that it cannot decide this"},
    ErrcEntry{Errc::certificate_expired, "certificate_expired",
              "the store's TLS certificate is not valid at this time"},
    ErrcEntry{Errc::certificate_mismatch, "certificate_mismatch", "the store's TLS certificate is for another host"},
    ErrcEntry{Errc::certificate_untrusted, "certificate_untrusted", "the store's TLS certificate is not trusted"},
    ErrcEntry{Errc::cancelled, "cancelled", "the request was cancelled"},
};

/// Codes are 1 .. errc_count.
inline constexpr std::size_t errc_count = errc_table.size();

static_assert([] {
    for (std::size_t i = 0; i != errc_count; ++i) {
        if (static_cast<std::size_t>(errc_table[i].code) != i + 1) return false;
    }
    return true;
}());

/// The entry of a code, or null.
constexpr const ErrcEntry* errc_entry(int value) noexcept {
    return value >= 1 && static_cast<std::size_t>(value) <= errc_count
               ? &errc_table[static_cast<std::size_t>(value) - 1]
               : nullptr;
}

class ErrorCategory final : public std::error_category {
public:
    const char* name() const noexcept override { return "sluice"; }

    std::string message(int value) const override {
        const ErrcEntry* entry = errc_entry(value);
        return entry != nullptr ? entry->message : "unknown error";
    }

    bool equivalent(const std::error_code& code, int condition) const noexcept override {
        return is_same_error(code, {condition, *this});
    }
};

/// Never destroyed, since other objects' destructors may still compare errors.
#if defined(__clang__)
struct CategoryHolder {
    ErrorCategory category;
};
[[clang::no_destroy]] inline constinit const CategoryHolder category_holder;
#else
union CategoryHolder {
    ErrorCategory category{};

    constexpr ~CategoryHolder() {}
};
inline constinit const CategoryHolder category_holder{};
#endif

}  // namespace detail

/// The category of Errc; its name is "sluice".
inline const std::error_category& error_category() noexcept { return detail::category_holder.category; }

inline std::error_code make_error_code(Errc code) noexcept { return {static_cast<int>(code), error_category()}; }

/// The code's name as it is spelled in C++, for logs and metrics; "unknown" for what is none.
constexpr std::string_view error_name(Errc code) noexcept {
    const detail::ErrcEntry* entry = detail::errc_entry(static_cast<int>(code));
    return entry != nullptr ? entry->name : "unknown";
}

}  // namespace sluice

template <>
struct std::is_error_code_enum<sluice::Errc> : std::true_type {};

namespace sluice {

/// By the category's name and the value, so that it holds between a program and the plugins that it loads, too.
inline bool operator==(const std::error_code& error, Errc code) noexcept {
    return error.value() == static_cast<int>(code) && detail::is_same_error(error, make_error_code(code));
}

/// True where a store decided: there is no error, or it only says how (a fallback's answer, a full store's).
inline bool is_decided(const std::error_code& error) noexcept {
    return !error || error == Errc::degraded || error == Errc::store_full;
}

/// True where the caller or the operator did something wrong. Denied whatever the FailureMode: to try again is useless.
inline bool is_rejected(const std::error_code& error) noexcept {
    return error && (error == Errc::invalid_argument || error == Errc::misconfigured);
}

/// True where no store decided though one should have, so that the limiter's FailureMode has to.
inline bool is_failure(const std::error_code& error) noexcept { return !is_decided(error) && !is_rejected(error); }

}  // namespace sluice

#endif
