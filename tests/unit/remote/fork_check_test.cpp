// SPDX-License-Identifier: MIT

#include <unistd.h>

#include <sluice/remote/fork_check.hpp>

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
