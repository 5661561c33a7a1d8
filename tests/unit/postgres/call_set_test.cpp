// SPDX-License-Identifier: MIT

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/postgres.hpp>

#include "support/catch.hpp"

using sluice::Errc;
using sluice::detail::postgres::Call;
using sluice::detail::postgres::CallSet;

namespace {

using Keys = std::vector<std::string_view>;
using Numbers = std::vector<std::int64_t>;

Call call_of(const Keys& keys) {
    Call call;
    call.head = "f(ARRAY[";
    call.tail = "])";
    call.keys = keys;
    call.numbers_each = 2;
    call.has_list = true;
    return call;
}
bool accepts(const CallSet& set, const Call& call) { return set.accepts({&call, 1}); }

}  // namespace

TEST_CASE("calls of one kind are one statement, in the order of all keys, and each gets its own numbers") {
    const Keys first{"c", "a", "c"}, second{"b", "c"}, third{"a"};
    std::array calls{call_of(first), call_of(second), call_of(third)};
    CallSet set;
    for (const Call& call : calls) set.add(call);
    set.cancel(2, Errc::timeout);
    const auto open = set.open_calls();
    REQUIRE(open.size() == 2);
    CHECK(set.statement(open) == "f(ARRAY[E'\\\\x61',E'\\\\x62',E'\\\\x63',E'\\\\x63',E'\\\\x63'])");
    set.answer(open, "{10,0,20,1,-7,30,0,40,2,8,9,50,0}");
    for (std::size_t i = 0; i != calls.size(); ++i) set.collect(i, calls[i]);
    CHECK(calls[0].numbers == Numbers{30, 0, 10, 0, 40, 2, 8, 9});
    CHECK(calls[1].numbers == Numbers{20, 1, -7, 50, 0});
    CHECK(calls[2].error == Errc::timeout);
    CHECK_FALSE(calls[0].error);

    const std::array one{open[1]};
    CHECK(set.statement(one) == "f(ARRAY[E'\\\\x62',E'\\\\x63'])");

    set.clear();
    CHECK(set.size() == 0);
    Call again = call_of(third);
    again.head = "g(ARRAY[";
    CHECK(set.add(again) == 0);
    CHECK(set.statement(set.open_calls()) == "g(ARRAY[E'\\\\x61'])");
    set.answer(set.open_calls(), "{60,1,70}");
    set.collect(0, again);
    CHECK(again.numbers == Numbers{60, 1, 70});
}

TEST_CASE("what is answered stays so, whatever befalls the others") {
    const Keys key{"k"};
    std::array calls{call_of(key), call_of(key), call_of(key)};
    CallSet set;
    for (const Call& call : calls) set.add(call);
    const auto collect = [&] {
        for (std::size_t i = 0; i != calls.size(); ++i) set.collect(i, calls[i]);
    };
    set.cancel(1, Errc::timeout);
    SECTION("as a statement that fails") {
        set.fail(Errc::disconnected);
        collect();
        CHECK(calls[0].error == Errc::disconnected);
        CHECK(calls[1].error == Errc::timeout);
        CHECK(calls[2].error == Errc::disconnected);
        for (const Call& call : calls) CHECK_FALSE(call.was_refused);
    }
    SECTION("or a connection that cannot be made") {
        set.refuse(Errc::busy);
        collect();
        CHECK(calls[0].was_refused);
        CHECK(calls[0].error == Errc::busy);
        CHECK_FALSE(calls[1].was_refused);
        CHECK(calls[1].error == Errc::timeout);
        CHECK(calls[2].was_refused);
    }
    CHECK(set.open_calls().empty());
}

TEST_CASE("calls of other kinds, too many keys and those that are alone do not go together") {
    const Keys key{"k"};
    const Keys many(CallSet::max_keys - 1, "k");
    CallSet set;
    set.add(call_of(key));
    CHECK(accepts(set, call_of(key)));
    CHECK(accepts(set, call_of(many)));
    Call other = call_of(key);
    other.head = "g(ARRAY[";
    CHECK_FALSE(accepts(set, other));
    other = call_of(key);
    other.tail = ",1])";
    CHECK_FALSE(accepts(set, other));
    other = call_of(key);
    other.is_alone = true;
    CHECK_FALSE(accepts(set, other));
    set.add(call_of(many));
    CHECK_FALSE(accepts(set, call_of(key)));
    CallSet alone;
    alone.add(other);
    CHECK_FALSE(accepts(alone, other));
}

TEST_CASE("numbers are read as Postgres writes them, and nothing else") {
    const Keys key{"k"};
    const auto answered = [&](std::string_view text) {
        CallSet set;
        Call call = call_of(key);
        const std::array only{set.add(call)};
        static_cast<void>(set.statement(only));
        set.answer(only, text);
        set.collect(0, call);
        return call;
    };
    CHECK(answered("{-9223372036854775808,1,9223372036854775807}").numbers ==
          Numbers{std::numeric_limits<std::int64_t>::min(), 1, std::numeric_limits<std::int64_t>::max()});
    CHECK(answered("{1,-2}").numbers == Numbers{1, -2});
    for (const char* text :
         {"", "{", "}", "{}", "1", "{1", "{1}", "{1,0", "{x,0}", "{1.5,0}", "{NULL,0}", "{1,2,3}",
          "{9223372036854775808,0}", "{ 1,0}", "{,1,0}", "{1,0,0}", "{1,00", "01,0}", "{1,9223372036854775807,1}"}) {
        INFO(text);
        CHECK(answered(text).error == Errc::protocol);
    }
}
