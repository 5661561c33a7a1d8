// SPDX-License-Identifier: MIT

#include <chrono>
#include <cstddef>
#include <string>
#include <system_error>

#include <sluice/redis/link/async_call.hpp>

#include "support/catch.hpp"

using sluice::detail::redis::AsyncCall;
using sluice::detail::redis::AsyncCallList;
using sluice::detail::redis::CallSet;
using sluice::detail::redis::EncodedKeys;
using namespace std::chrono_literals;

namespace {

struct Named final : AsyncCall {
    Named(char of_name, std::chrono::seconds at) : name(of_name) { deadline = Clock::time_point{at}; }
    std::error_code find_slot(EncodedKeys&) override { return {}; }
    std::error_code encode(EncodedKeys&, CallSet&) override { return {}; }
    void decode(CallSet&) noexcept override {}
    bool is_abandoned() const noexcept override { return false; }
    void complete() noexcept override {}
    void destroy() noexcept override { ++destroyed; }
    std::error_code outcome() const noexcept override { return {}; }

    char name;
    int destroyed = 0;
};

/// Takes all out.
std::string names(AsyncCallList& list) {
    std::string text;
    for (std::size_t left = list.size(); !list.empty(); --left) {
        if (left != list.size() || (left == 1) != (&list.front() == &list.back())) return "sizes";
        text += static_cast<Named*>(list.pop_front())->name;
    }
    return list.size() == 0 ? text : "sizes";
}

}  // namespace

TEST_CASE("calls are kept in the order of their deadlines, those of equal ones as they came") {
    Named a{'a', 1s}, b{'b', 2s}, c{'c', 2s}, d{'d', 3s}, e{'e', 2s}, f{'f', 0s}, g{'g', 3s};
    AsyncCallList list;
    CHECK(list.earliest() == AsyncCall::Clock::time_point::max());
    for (Named* call : {&a, &b, &c, &d, &e, &f, &g}) list.insert(*call);
    CHECK(list.earliest() == AsyncCall::Clock::time_point{0s});
    CHECK(&list.back() == &g);
    CHECK(names(list) == "fabcedg");
    list.insert(d);
    list.insert(a);
    CHECK(names(list) == "ad");
}

TEST_CASE("lists of calls are put behind and in front of others, and swapped") {
    Named a{'a', 1s}, b{'b', 1s}, c{'c', 1s}, d{'d', 1s};
    AsyncCallList first, second;
    first.append(second);
    first.prepend(second);
    CHECK(first.empty());
    second.push_back(a);
    second.push_back(b);
    first.append(second);
    CHECK(second.empty());
    CHECK(first.size() == 2);
    second.push_back(c);
    second.push_back(d);
    first.append(second);
    CHECK(names(second) == "");
    CHECK(names(first) == "abcd");
    first.push_back(a);
    second.push_back(b);
    second.push_back(c);
    first.prepend(second);
    CHECK(second.empty());
    first.swap(second);
    CHECK(first.empty());
    CHECK(names(second) == "bca");
}

TEST_CASE("a list destroys the calls that are left") {
    Named a{'a', 1s}, b{'b', 2s}, c{'c', 3s};
    {
        AsyncCallList list;
        for (Named* call : {&a, &b, &c}) list.push_back(*call);
        static_cast<void>(list.pop_front());
    }
    CHECK(a.destroyed == 0);
    CHECK(b.destroyed == 1);
    CHECK(c.destroyed == 1);
}
