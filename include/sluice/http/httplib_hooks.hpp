// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_HTTPLIB_HOOKS_HPP
#define SLUICE_HTTP_HTTPLIB_HOOKS_HPP

#include <string>
#include <vector>

#include <sluice/detail/cpp20.hpp>

namespace sluice::http {

/// A server's own handlers beside the guard's, for install().
template <class Server>
struct HttplibHooks {
    typename Server::HandlerWithResponse pre_routing{};  ///< for each request that the guard allows
    typename Server::Handler post_routing{};             ///< for each answer, before the guard's headers are written
    typename Server::Handler denied{};                   ///< may replace a denial's status and body
    bool every_request = true;                           ///< false: only those of HttplibGuard::route are checked
    /// Names of rules that HttplibGuard::route alone checks: for uploads, whose denial is to wait for the body.
    std::vector<std::string> left_to_routes{};
};

}  // namespace sluice::http

#endif
