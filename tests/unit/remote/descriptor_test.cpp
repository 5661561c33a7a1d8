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

    Descriptor twice;
    twice.reset(::open("/dev/null", O_RDONLY));
    const int first = twice.get();
    const int second = ::open("/dev/zero", O_RDONLY);
    twice.reset(second);
    CHECK(::fcntl(first, F_GETFD) == -1);
    CHECK(twice.get() == second);
    twice.reset(-1);
    CHECK_FALSE(twice.is_open());
    CHECK(::fcntl(second, F_GETFD) == -1);
}

TEST_CASE("files are told from each other, also those of one device") {
    using sluice::detail::remote::FileIdentity;
    int one[2], other[2];
    REQUIRE(::pipe(one) == 0);
    REQUIRE(::pipe(other) == 0);
    const FileIdentity identity{one[0]};
    CHECK(identity.is_of(one[0]));
    CHECK_FALSE(identity.is_of(other[0]));
    CHECK_FALSE(FileIdentity{}.is_of(one[0]));
    for (const int fd : {one[0], one[1], other[0], other[1]}) ::close(fd);
    CHECK_FALSE(identity.is_of(one[0]));
    CHECK_FALSE(FileIdentity{one[0]}.is_of(one[0]));
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
