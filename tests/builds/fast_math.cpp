// SPDX-License-Identifier: MIT
// -ffast-math lets a compiler assume that no number is infinite or NaN; a constructor sees it all the same.

#include <chrono>
#include <limits>
#include <stdexcept>

#include <sluice/sluice.hpp>

namespace {

template <class Rep>
bool refused(Rep seconds) {
    try {
        static_cast<void>(sluice::FixedWindow{1, std::chrono::duration<Rep>{seconds}});
        return false;
    } catch (const std::invalid_argument&) {
        return true;
    }
}

template <class Rep>
bool refuses_what_is_no_time() {
    volatile Rep none = std::numeric_limits<Rep>::quiet_NaN();
    volatile Rep endless = std::numeric_limits<Rep>::infinity();
    return refused<Rep>(none) && refused<Rep>(-none) && refused<Rep>(endless) && refused<Rep>(-endless) &&
           refused<Rep>(std::numeric_limits<Rep>::max()) && refused<Rep>(0) && !refused<Rep>(Rep{1.5});
}

}  // namespace

int main() {
    return refuses_what_is_no_time<float>() && refuses_what_is_no_time<double>() &&
                   refuses_what_is_no_time<long double>()
               ? 0
               : 1;
}
