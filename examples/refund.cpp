// SPDX-License-Identifier: MIT
//
// Only failed logins count: an attempt is charged before the password is looked at, and given back where it was right.
#include <chrono>
#include <iostream>
#include <string>

#include <sluice/sluice.hpp>

int main() {
    using namespace std::chrono_literals;
    const sluice::RateLimiter logins{sluice::SlidingWindow{3, 15min},
                                     {.name = "logins", .on_failure = sluice::FailureMode::deny}};

    const auto log_in = [&](const std::string& account, const std::string& password) {
        if (!logins.try_consume(account)) return "too many attempts";
        if (password != "correct horse") return "wrong password";
        logins.refund(account, 1);
        return "welcome";
    };
    for (const char* password :
         {"correct horse", "correct horse", "1234", "correct horse", "1111", "0000", "correct horse"}) {
        std::cout << password << ": " << log_in("ann", password) << '\n';
    }
}
