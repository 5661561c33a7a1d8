// SPDX-License-Identifier: MIT
//
// Built with -fvisibility=hidden: FACE, its only symbol, is the name under which it offers itself.
#include "face.hpp"

#include <sluice/remote/fork_check.hpp>

extern "C" [[gnu::visibility("default")]] Face FACE() {
    return {
        .error = [](sluice::Errc code) { return sluice::make_error_code(code); },
        .is = [](std::error_code error, sluice::Errc code) { return error == code && code == error; },
        .is_failure = [](std::error_code error) { return sluice::is_failure(error); },
        .are_equal = [](const sluice::Decision& a, const sluice::Decision& b) { return a == b; },
        .now = [] { return sluice::DefaultClock{}.now().count(); },
        .try_consume = [](const Limiter& limiter) { return limiter.try_consume("a"); },
        .process_id = [] { return sluice::detail::remote::ForkCheck::get(); },
    };
}
