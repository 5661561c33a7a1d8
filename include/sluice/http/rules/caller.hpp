// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_RULES_CALLER_HPP
#define SLUICE_HTTP_RULES_CALLER_HPP

#include <optional>
#include <string>

#include <sluice/http/client/ip_address.hpp>

namespace sluice::http {

/// Who sends a request. The program fills in what it has verified: an API key or a user's name that a client made up
/// would be a new bucket for each invention. Empty members are unknown. Guard fills in the addresses.
struct Caller {
    std::string user{};
    std::string api_key{};
    std::string plan{};
    std::optional<IpAddress> address{};
    std::optional<IpAddress> block{};  ///< what counts as one client of `address`: ClientAddress::identity
};

/// Tells an adapter nothing about who sends a request: all are counted by address.
struct Anonymous {
    template <class Request>
    Caller operator()(const Request&) const noexcept {
        return {};
    }
};

}  // namespace sluice::http

#endif
