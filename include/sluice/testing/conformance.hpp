// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTING_CONFORMANCE_HPP
#define SLUICE_TESTING_CONFORMANCE_HPP

#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <random>
#include <utility>

#include <sluice/testing/detail/comparing.hpp>
#include <sluice/testing/detail/deciding.hpp>
#include <sluice/testing/detail/policy_cases.hpp>
#include <sluice/testing/detail/run.hpp>
#include <sluice/testing/detail/settling.hpp>

// What every store must do, with every policy: the suite that the library's own stores pass, for stores of one's own and in any
// test framework; and what every policy must do. Not part of sluice.hpp; needs nothing but the core.
//
// A store is described by a kit:
//
//     struct MyKit {
//         static constexpr std::chrono::nanoseconds resolution{1};   // of the store's time; at most a microsecond
//         static constexpr std::size_t longest_key = 1'024;          // bytes that a key may have at least
//         static constexpr int sequences = 200;                      // of 50 random operations, for each policy
//         static constexpr int requests_per_thread = 1'000;
//         MyClock clock;                                             // the suite sets it; copies share one time
//         template <sluice::Policy P> auto store() { return MyStore{clock}; }
//     };
//
// MyClock is a sluice::ManualClock, or has its set(). It is set back, too, by up to 5 s: a store that lets go of states at once
// where its Clock is_steady needs one that is not.
//
// Stores of one kit may share their states, as those on one server do; names keep limiters apart, also from earlier runs'. A
// store whose clock cannot be set is checked by check_store_on_its_clock().

namespace sluice::conformance {

/// A seed that no earlier run had. What fails names its seed; a run given the same one repeats it.
inline std::uint64_t new_seed() { return std::random_device{}(); }

/// A case of the suite: `run(kit, expect, seed)` checks it.
template <class Kit>
struct Case {
    const char* name;
    void (*body)(Kit&, detail::conformance::Run&);

    /// Calls expect(ok, what) for each check. A kit may be used for several cases, one after the other.
    void run(Kit& kit, const Expect& expect, std::uint64_t seed = new_seed()) const {
        detail::conformance::Run run{expect, name, seed};
        body(kit, run);
    }
};

/// The cases for a store on the suite's clock.
template <class Kit>
constexpr auto store_cases() {
    namespace cases = detail::conformance;
    using cases::Run;
    return std::array{
        Case<Kit>{"decides as announced",
                  [](Kit& kit, Run& run) { cases::with_each_policy(kit, run, cases::decides_as_announced); }},
        Case<Kit>{"knows never and nothing",
                  [](Kit& kit, Run& run) { cases::with_each_policy(kit, run, cases::knows_never_and_nothing); }},
        Case<Kit>{"peeks, refunds and resets",
                  [](Kit& kit, Run& run) { cases::with_each_policy(kit, run, cases::peeks_refunds_and_resets); }},
        Case<Kit>{"takes any key", [](Kit& kit, Run& run) { cases::with_each_policy(kit, run, cases::takes_any_key); }},
        Case<Kit>{"decides many in order",
                  [](Kit& kit, Run& run) { cases::with_each_policy(kit, run, cases::decides_many_in_order); }},
        Case<Kit>{
            "decides new keys twice in a batch",
            [](Kit& kit, Run& run) { cases::with_each_policy(kit, run, cases::decides_new_keys_twice_in_a_batch); }},
        Case<Kit>{
            "survives a clock that goes back",
            [](Kit& kit, Run& run) { cases::with_each_policy(kit, run, cases::survives_a_clock_that_goes_back); }},
        Case<Kit>{"keeps states apart", cases::keeps_states_apart<Kit>},
        Case<Kit>{"equals the bare policy", cases::equals_the_bare_policy<Kit>},
        Case<Kit>{"admits exactly the capacity", cases::admits_exactly_the_capacity<Kit>},
        Case<Kit>{"settles as the bare policy", cases::settles_as_the_bare_policy<Kit>},
        Case<Kit>{"takes and gives back", cases::takes_and_gives_back<Kit>},
        Case<Kit>{"minds the greatest delay", cases::minds_the_greatest_delay<Kit>},
        Case<Kit>{"settles exactly with threads", cases::settles_exactly_with_threads<Kit>},
    };
}

/// All cases of store_cases() on one kit. What fails is told by expect(false, what).
template <class Kit>
void check_store(Kit& kit, const Expect& expect, std::uint64_t seed = new_seed()) {
    for (const auto& one : store_cases<Kit>()) one.run(kit, expect, seed);
}

/// What holds while the clock goes on: for a store on a clock of its own. `make_store(policy)` makes one for that policy.
/// Takes less than a minute's time, or a store is too slow for it.
template <class MakeStore>
void check_store_on_its_clock(std::size_t longest_key, MakeStore make_store, const Expect& expect,
                              std::uint64_t seed = new_seed()) {
    namespace cases = detail::conformance;
    const auto check_each = [&](const char* name, void (*body)(const cases::Subject&, cases::Run&)) {
        cases::Run run{expect, name, seed};
        cases::for_each_slow_policy([&](const auto& policy, const char* what) {
            run.about(what);
            body({sluice::RateLimiter{policy, make_store(policy), {.name = run.name(what)}}, nullptr,
                  std::chrono::nanoseconds{1}, longest_key, false},
                 run);
        });
    };
    check_each("knows never and nothing", cases::knows_never_and_nothing);
    check_each("peeks, refunds and resets", cases::peeks_refunds_and_resets);
    check_each("takes any key", cases::takes_any_key);
    check_each("decides many in order", cases::decides_many_in_order);
    check_each("decides new keys twice in a batch", cases::decides_new_keys_twice_in_a_batch);
}

/// What holds for every policy, of one's own too: a denial and a cost of 0 change nothing, `retry_after` is the least wait, what
/// `remaining` says is there, and from expires_at() on a state is as good as new. Drives `sequences` states with 50 random requests
/// each, at times that do not go back. The policy's State must be copyable.
template <Policy P>
void check_policy(const P& policy, const Expect& expect, int sequences = 200, std::uint64_t seed = new_seed()) {
    static_assert(std::copyable<typename P::State>, "sluice: check_policy compares copies of a state");
    detail::conformance::Run run{expect, "a policy by itself", seed};
    run.about(P::kind);
    for (int i = 0; i != sequences; ++i) detail::conformance::drive_policy(policy, run);
}

}  // namespace sluice::conformance

#endif
