// SPDX-License-Identifier: MIT
//
// The conformance kit as a stranger uses it: a store of one's own, no test framework.
#include <chrono>
#include <cstdint>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include <sluice/operate.hpp>
#include <sluice/sluice.hpp>
#include <sluice/testing/conformance.hpp>

namespace {

template <sluice::Policy P>
class MapStore {
public:
    sluice::Decision decide(const sluice::Request<P>& request) const noexcept {
        const std::lock_guard lock{shared_->mutex};
        auto& state = shared_->states[{request.scope.id, std::string{request.key}}];
        const std::chrono::nanoseconds now = std::chrono::system_clock::now().time_since_epoch();
        sluice::reserve(request.scope.policy, state, now, request.units);
        std::uint64_t taken = 0;
        return sluice::operate(request, state, now, taken);
    }

private:
    struct Shared {
        std::mutex mutex;
        std::map<std::pair<std::uint64_t, std::string>, typename P::State> states;
    };
    std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

}  // namespace

int main() {
    int passed = 0, failed = 0;
    const auto expect = [&](bool ok, const std::string& what) {
        ++(ok ? passed : failed);
        if (!ok) std::cerr << what << '\n';
    };
    sluice::conformance::check_store_on_its_clock(
        1'024, []<class P>(const P&) { return MapStore<P>{}; }, expect);
    sluice::conformance::check_policy(sluice::TokenBucket{10, sluice::per_second(1)}, expect);
    return passed > 1'000 && failed == 0 ? 0 : 1;
}
