// SPDX-License-Identifier: MIT

#include <array>
#include <chrono>
#include <cstdint>

#include <sluice/redis/link/node.hpp>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using sluice::Errc;
using sluice::detail::redis::Arguments;
using Group = sluice::detail::remote::Group<sluice::detail::redis::Link>;
using sluice::detail::redis::ScriptCall;
using Permit = Group::Permit;

namespace {

const sluice::detail::redis::Scripts scripts{"return 1", "return {1}"};
const Arguments no_arguments;

ScriptCall call_of(std::size_t decisions) {
    ScriptCall call;
    call.scripts = &scripts;
    call.common = &no_arguments;
    call.keys = "$1\r\nk\r\n";
    call.units = "$1\r\n1\r\n";
    call.decisions = decisions;
    return call;
}

}  // namespace

TEST_CASE("a group is bounded by its decisions, and by deadlines that lie too far apart") {
    Group group;
    using sluice::detail::remote::Deadline;
    const auto start = Deadline::Clock::now();
    const Deadline deadline{start, 100ms};
    std::array<ScriptCall, 7> many;
    many.fill(call_of(128));
    group.add(many, deadline, Permit::normal);
    const std::array last{call_of(128)};
    const std::array one{call_of(1)};
    CHECK(group.accepts(last, deadline));
    group.add(last, deadline, Permit::normal);
    CHECK(group.calls.decisions() == sluice::detail::redis::CallSet::max_decisions);
    CHECK_FALSE(group.accepts(one, deadline));
    group.leave(1);
    CHECK(group.accepts(one, deadline));
    CHECK_FALSE(group.accepts(one, Deadline{start, 90ms}));
    CHECK_FALSE(group.accepts(one, Deadline{start, 300ms}));
}

TEST_CASE("who leaves a group is not asked for, and takes the probe along") {
    Group group;
    std::array one{call_of(1)}, two{call_of(2)};
    const auto stays = group.add(one, sluice::detail::remote::Deadline{1h}, Permit::normal);
    const auto leaves = group.add(two, sluice::detail::remote::Deadline{1s}, Permit::probe);
    CHECK(group.permit() == Permit::probe);
    group.leave(leaves);
    CHECK(group.permit() == Permit::normal);
    CHECK(group.present == 1);
    CHECK(group.calls.decisions() == 1);
    CHECK(group.deadline > Group::Clock::now() + 30min);

    const auto late = group.add(two, sluice::detail::remote::Deadline{0s}, Permit::normal);
    group.cancel_late(late);  // it leads, and is asked for
    CHECK(group.calls.decisions() == 3);
    std::array pair{call_of(4), call_of(8)};
    const auto gone = group.add(pair, sluice::detail::remote::Deadline{0s}, Permit::normal);
    group.leave(gone);
    CHECK(group.calls.decisions() == 3);
    group.collect(gone, pair);
    for (const auto& call : pair) CHECK(call.error == Errc::timeout);
    group.cancel_late(stays);
    CHECK(group.calls.decisions() == 1);
    group.collect(late, two);
    CHECK(two[0].error == Errc::timeout);
}

TEST_CASE("a group's deadline is the earliest of those who are still there") {
    using sluice::detail::remote::Deadline;
    const auto start = Deadline::Clock::now();
    const std::array one{call_of(1)};
    Group group;
    const auto first = group.add(one, Deadline{start, 1h}, Permit::normal);
    group.add(one, Deadline{start, 3h}, Permit::normal);
    group.add(one, Deadline{start, 2h}, Permit::normal);
    CHECK(group.deadline == start + 1h);
    group.leave(first);
    CHECK(group.deadline == start + 2h);

    Group late;
    late.add(one, Deadline{0s}, Permit::normal);
    const auto leads = late.add(one, Deadline{1h}, Permit::normal);
    late.cancel_late(leads);
    CHECK(late.calls.decisions() == 1);
}
