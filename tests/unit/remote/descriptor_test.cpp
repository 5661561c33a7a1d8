// SPDX-License-Identifier: MIT

#include <fcntl.h>
#include <unistd.h>

#include <sluice/remote/descriptor.hpp>

#include "support/catch.hpp"

using sluice::detail::remote::Descriptor;

TEST_CASE("a descriptor is closed by its owner") {
    const int fd = ::open("/dev/null", O_RDONLY);
    {
        Descriptor owner;
        owner.reset(fd);
        CHECK(owner.is_open());
    }
    CHECK(::fcntl(fd, F_GETFD) == -1);
}

TEST_CASE("one that somebody else has closed and opened again is left alone") {
    int pipe[2];
    REQUIRE(::pipe(pipe) == 0);
    Descriptor owner;
    owner.reset(pipe[0]);
    REQUIRE(::close(pipe[0]) == 0);
    const int log = ::open("/dev/null", O_WRONLY);
    REQUIRE(log == pipe[0]);
    owner.close();
    CHECK_FALSE(owner.is_open());
    CHECK(::fcntl(log, F_GETFD) != -1);
    ::close(log);
    ::close(pipe[1]);
}
