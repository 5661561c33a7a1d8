// SPDX-License-Identifier: MIT

#include <array>
#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <future>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <sluice/remote/deadline.hpp>
#include <sluice/remote/key_locks.hpp>
#include <sluice/remote/loop.hpp>
#include <sluice/remote/stream.hpp>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using sluice::Errc;
using sluice::detail::remote::Deadline;
using sluice::detail::remote::Descriptor;
using sluice::detail::remote::KeyLocks;
using sluice::detail::remote::LoopWakeup;
using sluice::detail::remote::Stream;

namespace {

bool is_readable(int fd) {
    pollfd item{fd, POLLIN, 0};
    return ::poll(&item, 1, 0) == 1;
}

/// Two connected sockets; nothing has arrived at the first one.
struct Pair {
    Pair() {
        std::array<int, 2> ends{};
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) == 0);
        near.reset(ends[0]);
        far.reset(ends[1]);
    }
    Descriptor near{}, far{};
};

/// Answers as it was told, and then that it is closed.
struct ToldStream final : Stream {
    int descriptor() const noexcept override { return pair.near.get(); }
    Result try_read(std::span<char>) noexcept override { return next(); }
    Result try_write(std::string_view bytes) noexcept override {
        asked += std::to_string(bytes.size()) + " ";
        return next();
    }
    bool is_stale() noexcept override { return false; }
    Result next() noexcept {
        if (told.empty()) return {Status::closed};
        const Result result = told.front();
        told.pop_front();
        return result;
    }

    Pair pair{};
    std::deque<Result> told{};
    std::string asked{};
};
using Status = Stream::Status;

}  // namespace

TEST_CASE("a deadline") {
    const auto start = Deadline::Clock::now();
    const Deadline deadline{start, 1h};
    CHECK(deadline.budget() == 1h);
    CHECK(deadline.at() == start + 1h);
    CHECK_FALSE(deadline.has_passed());
    CHECK(deadline.remaining() > 30min);
    CHECK(deadline.share(2).budget() <= 30min);
    CHECK(deadline.share(2).budget() > 15min);
    CHECK(deadline.share(0).budget() > 30min);
    CHECK(deadline.poll_ms() == 1'000'000);  // who polls again looks again
    CHECK(Deadline{start, 10min}.poll_ms() <= 600'000);
    CHECK(Deadline{start, 10min}.poll_ms() > 300'000);

    const Deadline over{start - 2s, 1s};
    CHECK(over.has_passed());
    CHECK(over.remaining() == 0s);
    CHECK(over.poll_ms() == 0);
    CHECK(Deadline{std::chrono::nanoseconds::max()}.at() > start + std::chrono::hours{24 * 300});
}

TEST_CASE("a loop is woken until it has drained what woke it") {
    LoopWakeup wakeup;
    CHECK(wakeup.descriptor() < 0);
    wakeup.notify();
    REQUIRE(wakeup.open());
    const int fd = wakeup.descriptor();
    CHECK(wakeup.open());
    CHECK(wakeup.descriptor() == fd);
    CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    wakeup.drain();
    CHECK_FALSE(is_readable(fd));
    for (int i = 0; i != 200; ++i) wakeup.notify();
    CHECK(is_readable(fd));
    wakeup.drain();
    CHECK_FALSE(is_readable(fd));
    for (int i = 0; i != 70'000; ++i) wakeup.notify();  // a full pipe blocks nobody
    CHECK(is_readable(fd));
}

TEST_CASE("a loop that gets no descriptors says so") {
    rlimit usual{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &usual) == 0);
    rlimit none = usual;
    none.rlim_cur = 0;
    LoopWakeup wakeup;
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
    const bool is_open = wakeup.open();
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &usual) == 0);
    CHECK_FALSE(is_open);
    CHECK(wakeup.open());
}

TEST_CASE("descriptors have numbers that are never used again") {
    sluice::detail::remote::WatchIds ids;
    CHECK_FALSE(ids.is_open(0));
    const auto one = ids.open(), two = ids.open();
    CHECK(one != 0);
    CHECK(one != two);
    CHECK(ids.is_open(one));
    CHECK(ids.is_open(two));
    ids.close(one);
    CHECK_FALSE(ids.is_open(one));
    CHECK(ids.is_open(two));
    const auto three = ids.open();
    CHECK(three != one);
    CHECK(three != two);
}

TEST_CASE("waiting for a descriptor ends with it or with the time") {
    using sluice::detail::remote::wait_for;
    const Pair pair;
    CHECK(wait_for(-1, POLLIN, Deadline{1h}) == Errc::disconnected);
    CHECK(wait_for(pair.near.get(), POLLIN, Deadline{0s}) == Errc::timeout);
    CHECK(wait_for(pair.near.get(), POLLIN, Deadline{2ms}) == Errc::timeout);
    CHECK_FALSE(wait_for(pair.near.get(), POLLOUT, Deadline{1h}));
    REQUIRE(::write(pair.far.get(), "x", 1) == 1);
    CHECK_FALSE(wait_for(pair.near.get(), POLLIN, Deadline{0s}));
}

TEST_CASE("a stream writes all, in whatever pieces, and says how much left") {
    ToldStream stream;
    std::size_t written = 7;
    stream.told = {{Status::done, 2}, {Status::wants_write}, {Status::done, 3}};
    CHECK_FALSE(stream.write("hello", Deadline{1h}, written));
    CHECK(written == 5);
    CHECK(stream.asked == "5 3 3 ");
    stream.told = {{Status::done, 2}};
    CHECK(stream.write("hello", Deadline{1h}, written) == Errc::disconnected);
    CHECK(written == 2);
    stream.told = {{Status::done, 1}, {Status::wants_read}};  // as TLS may
    CHECK(stream.write("hello", Deadline{2ms}, written) == Errc::timeout);
    CHECK(written == 1);
}

TEST_CASE("a stream reads what there is, or ends with the time") {
    ToldStream stream;
    std::array<char, 8> buffer{};
    std::size_t count = 7;
    stream.told = {{Status::wants_write}, {Status::done, 3}};
    CHECK_FALSE(stream.read(buffer, Deadline{1h}, count));
    CHECK(count == 3);
    stream.told = {{Status::wants_read}};
    CHECK(stream.read(buffer, Deadline{2ms}, count) == Errc::timeout);
    CHECK(stream.read(buffer, Deadline{1h}, count) == Errc::disconnected);
    CHECK(count == 0);
}

TEST_CASE("one thread at a time has a key's lock") {
    KeyLocks locks;
    const auto place = [](std::string_view key) { return std::hash<std::string_view>{}(key) % 64; };
    const std::string mine = "a";
    std::string other = "b";
    while (place(other) == place(mine)) other += "b";
    const auto gets = [&](std::vector<std::string_view> keys, std::chrono::nanoseconds time) {
        return std::async(std::launch::async, [&locks, keys = std::move(keys), time] {
            const KeyLocks::Held held{locks, keys, Deadline{time}};
            return held.is_complete();
        });
    };
    {
        const std::array<std::string_view, 3> keys{mine, mine, mine};
        const KeyLocks::Held held{locks, keys, Deadline{1h}};
        CHECK(held.is_complete());
        CHECK_FALSE(gets({mine}, 2ms).get());
        CHECK(gets({other}, 1min).get());
        CHECK_FALSE(gets({other, mine}, 2ms).get());
        CHECK(gets({other}, 1min).get());  // who did not get all keeps none
    }
    CHECK(gets({mine, other}, 1min).get());
}
