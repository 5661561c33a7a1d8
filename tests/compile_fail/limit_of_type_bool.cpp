// SPDX-License-Identifier: MIT
// expect: constraints not satisfied
#include <sluice/sluice.hpp>

#ifdef WRONG
template <class Limit>
#else
template <sluice::detail::Integer Limit>
#endif
sluice::FixedWindow daily(Limit limit) {
    return sluice::FixedWindow{limit, std::chrono::hours{24}};
}

#ifdef WRONG
const auto policy = daily(true);
#else
const auto policy = daily(1);
#endif
