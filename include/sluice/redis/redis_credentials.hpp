// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_REDIS_CREDENTIALS_HPP
#define SLUICE_REDIS_REDIS_CREDENTIALS_HPP

#include <string>

namespace sluice {

/// Who asks. No user: the default one; neither user nor password: nobody logs in.
struct RedisCredentials {
    std::string user{};
    std::string password{};
};

}  // namespace sluice

#endif
