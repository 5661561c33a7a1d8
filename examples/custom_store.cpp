// SPDX-License-Identifier: MIT
//
// A store of one's own: one mutex and one map. It finds the key's state, makes the step atomic and has the clock; what the
// policy means it does not know.
#include <chrono>
#include <cstdint>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <utility>

#include <sluice/sluice.hpp>

template <sluice::Policy P>
class MapStore {
public:
    sluice::Decision decide(const sluice::Request<P>& request) const noexcept {
        if (request.operation != sluice::Operation::consume) return sluice::failure(sluice::Errc::unsupported);
        try {
            const std::lock_guard lock{shared_->mutex};
            auto& state = shared_->states[{request.scope.id, std::string{request.key}}];
            const std::chrono::nanoseconds now = std::chrono::system_clock::now().time_since_epoch();
            return request.scope.policy.step(state, now, request.units);
        } catch (const std::bad_alloc&) {
            return sluice::failure(sluice::Errc::no_memory);
        }
    }

private:
    struct Shared {
        std::mutex mutex;
        std::map<std::pair<std::uint64_t, std::string>, typename P::State> states;  // a real store forgets expired ones
    };
    std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();  // a handle: copies share the states
};

int main() {
    const sluice::RateLimiter limiter{sluice::TokenBucket{2, sluice::per_second(1)}, MapStore<sluice::TokenBucket>{}};
    for (int request = 0; request != 3; ++request) std::cout << limiter.try_consume("key") << '\n';
}
