// SPDX-License-Identifier: MIT

#include <memory>

#include <unistd.h>

#include <sluice/remote/fork_check.hpp>
#include <sluice/remote/per_process.hpp>

#include "support/catch.hpp"
#include "support/process.hpp"

using sluice::detail::remote::ForkCheck;

TEST_CASE("a process knows its id, and so does a forked child") {
    const pid_t parent = ForkCheck::get();
    CHECK(parent == ::getpid());
    const pid_t child = ::fork();
    if (child == 0) ::_exit(ForkCheck::get() == ::getpid() && ForkCheck::get() != parent ? 0 : 1);
    CHECK(status_of(child) == 0);
    CHECK(ForkCheck::get() == parent);
}

TEST_CASE("a child makes its own, and leaves what it inherited to its parent") {
    struct Owned {
        explicit Owned(int& destroyed) : count(destroyed) {}
        ~Owned() { ++count; }
        void abandon() noexcept { is_abandoned = true; }
        int& count;
        bool is_abandoned = false;
    };
    int made = 0, destroyed = 0;
    const auto make = [&] {
        ++made;
        return std::make_unique<Owned>(destroyed);
    };
    {
        sluice::detail::remote::PerProcess<Owned> owned;
        CHECK(owned.peek() == nullptr);
        Owned& mine = owned.get(make);
        CHECK(&owned.get(make) == &mine);
        CHECK(owned.peek() == &mine);
        CHECK(made == 1);
        const pid_t child = ::fork();
        if (child == 0) {
            bool is_right = owned.peek() == nullptr && !mine.is_abandoned;
            Owned& fresh = owned.get(make);
            is_right = is_right && &fresh != &mine && &owned.get(make) == &fresh && owned.peek() == &fresh;
            is_right = is_right && made == 2 && destroyed == 0 && mine.is_abandoned && !fresh.is_abandoned;
            ::_exit(is_right ? 0 : 1);
        }
        CHECK(status_of(child) == 0);
        CHECK_FALSE(mine.is_abandoned);
        const pid_t idle = ::fork();
        if (idle == 0) {
            owned.~PerProcess();
            ::_exit(destroyed == 0 ? 0 : 1);
        }
        CHECK(status_of(idle) == 0);
    }
    CHECK(destroyed == 1);
}
