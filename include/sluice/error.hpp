// SPDX-License-Identifier: MIT
#ifndef SLUICE_ERROR_HPP
#define SLUICE_ERROR_HPP

#include <string>
#include <system_error>

namespace sluice {

/// Why a store could not answer as usual. A denial is not an error: it is a Decision without one.
enum class Errc {
    no_memory = 1,     ///< the store could not allocate the key's state
    store_full,        ///< every slot holds a live state; `allowed` is what MemoryOptions::on_full says
    degraded,          ///< a fallback store decided: `allowed` is a real decision, not the failure mode's
    invalid_argument,  ///< the call itself is wrong (key too long for the store, spans of different length)
    unsupported,       ///< the policy or the store cannot do this operation
    timeout,           ///< no answer before the deadline; whether the request was charged is unknown
    refused,           ///< the server does not accept connections
    disconnected,      ///< the connection broke; whether the request was charged is unknown
    unresolved,        ///< the server's name has no address
    breaker_open,      ///< not asked: the store failed repeatedly and is left alone for a moment
    authentication,    ///< the server wants other credentials
    permission,        ///< the server's user may not run what the store needs
    read_only,         ///< the server is a replica or in a read-only transaction
    loading,           ///< the server is starting
    busy,              ///< the server is occupied (a blocking script, too many clients, a lock)
    server_full,       ///< the server has no memory or no disk left
    wrong_type,        ///< the key belongs to somebody else
    protocol,          ///< the server's answer cannot be understood
    server_error,      ///< any other error that the server reports
};

/// What `allowed` is when the store failed. `deny` for logins and payments, `allow` for nearly everything else.
enum class FailureMode { allow, deny };

namespace detail {

class ErrorCategory final : public std::error_category {
public:
    const char* name() const noexcept override { return "sluice"; }

    std::string message(int value) const override {
        switch (static_cast<Errc>(value)) {
            case Errc::no_memory: return "out of memory for the key's state";
            case Errc::store_full: return "every slot of the store holds a live state";
            case Errc::degraded: return "decided by the fallback store";
            case Errc::invalid_argument: return "invalid argument";
            case Errc::unsupported: return "operation not supported by this policy or store";
            case Errc::timeout: return "the store did not answer in time";
            case Errc::refused: return "the store refused the connection";
            case Errc::disconnected: return "the connection to the store broke";
            case Errc::unresolved: return "the store's host name could not be resolved";
            case Errc::breaker_open: return "the store failed repeatedly and is not asked for the moment";
            case Errc::authentication: return "the store rejected the credentials";
            case Errc::permission: return "the store's user lacks a permission";
            case Errc::read_only: return "the store is read-only";
            case Errc::loading: return "the store is starting";
            case Errc::busy: return "the store is busy";
            case Errc::server_full: return "the store's server has no memory or disk left";
            case Errc::wrong_type: return "the key holds a value of another kind";
            case Errc::protocol: return "the store's answer could not be understood";
            case Errc::server_error: return "the store reported an error";
        }
        return "unknown error";
    }
};

inline constinit const ErrorCategory category;

}  // namespace detail

/// The category of Errc; its name is "sluice".
inline const std::error_category& error_category() noexcept { return detail::category; }

inline std::error_code make_error_code(Errc code) noexcept { return {static_cast<int>(code), error_category()}; }

}  // namespace sluice

template <>
struct std::is_error_code_enum<sluice::Errc> : std::true_type {};

namespace sluice {

/// True where no store decided, so that the limiter's FailureMode has to. A fallback's answer and a full store's stand.
inline bool is_failure(const std::error_code& error) noexcept {
    return error && error != Errc::degraded && error != Errc::store_full;
}

}  // namespace sluice

#endif
