// SPDX-License-Identifier: MIT

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <system_error>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <sluice/remote/address.hpp>
#include <sluice/remote/descriptor.hpp>
#include <sluice/remote/socket_stream.hpp>

#include "support/catch.hpp"

using namespace std::chrono_literals;
using sluice::Errc;
using sluice::detail::remote::Address;
using sluice::detail::remote::Deadline;
using sluice::detail::remote::Descriptor;
using sluice::detail::remote::SocketStream;
using Status = sluice::detail::remote::Stream::Status;

namespace {

/// The other side, within this process.
struct Listener {
    explicit Listener(Address at) : address(at) {
        socket.reset(::socket(address.family(), SOCK_STREAM, 0));
        if (::bind(socket.get(), address.get(), address.length) != 0 || ::listen(socket.get(), 8) != 0 ||
            ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address.storage), &address.length) != 0)
            throw std::runtime_error{"cannot listen"};
    }
    void accept() { peer.reset(::accept(socket.get(), nullptr, nullptr)); }
    void say(const std::string& text) const {
        REQUIRE(::write(peer.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    }

    Address address;
    Descriptor socket{}, peer{};
};

/// A unix socket in a folder of its own.
struct Local {
    Local() {
        std::string name = (std::filesystem::temp_directory_path() / "sluice-socket-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error{"cannot make a temporary folder"};
        folder = name;
    }
    ~Local() {
        std::error_code ignored;
        std::filesystem::remove_all(folder, ignored);
    }
    Local(const Local&) = delete;
    Local& operator=(const Local&) = delete;

    std::string folder{};
    std::string path() const { return folder + "/s"; }
};

Address any_port() { return Address::of_host("127.0.0.1", 0, AI_NUMERICHOST).at(0); }

/// Connects, whether that is done at once or not.
std::error_code connect(SocketStream& stream, const Address& address) {
    const auto error = stream.begin_connect(address);
    if (error != Errc::busy) return error;
    if (const auto late = sluice::detail::remote::wait_for(stream.descriptor(), POLLOUT, Deadline{1min})) return late;
    return stream.finish_connect();
}

bool blocks(const SocketStream& stream) { return (::fcntl(stream.descriptor(), F_GETFL) & O_NONBLOCK) == 0; }

/// How long a read blocks.
std::chrono::microseconds limit(const SocketStream& stream) {
    timeval time{};
    socklen_t size = sizeof time;
    REQUIRE(::getsockopt(stream.descriptor(), SOL_SOCKET, SO_RCVTIMEO, &time, &size) == 0);
    return std::chrono::seconds{time.tv_sec} + std::chrono::microseconds{time.tv_usec};
}

}  // namespace

TEST_CASE("a socket connects, or tells why it does not") {
    SocketStream stream;
    CHECK_FALSE(stream.is_open());
    const Local local;
    CHECK(connect(stream, Address::of_path(local.path())) == Errc::refused);
    Address strange;
    strange.storage.ss_family = 250;
    strange.length = sizeof strange.storage;
    CHECK(connect(stream, strange) == Errc::refused);

    {
        Listener listener{any_port()};
        CHECK_FALSE(connect(stream, listener.address));
        CHECK(stream.is_open());
        CHECK((::fcntl(stream.descriptor(), F_GETFD) & FD_CLOEXEC) != 0);
        CHECK_FALSE(blocks(stream));
        int on = 0;
        socklen_t size = sizeof on;
        REQUIRE(::getsockopt(stream.descriptor(), IPPROTO_TCP, TCP_NODELAY, &on, &size) == 0);
        CHECK(on != 0);
        stream.close();
        CHECK_FALSE(stream.is_open());
    }
    // A port that nobody else gets, and at which nobody listens.
    Address closed = any_port();
    Descriptor owner;
    owner.reset(::socket(closed.family(), SOCK_STREAM, 0));
    REQUIRE(::bind(owner.get(), closed.get(), closed.length) == 0);
    REQUIRE(::getsockname(owner.get(), reinterpret_cast<sockaddr*>(&closed.storage), &closed.length) == 0);
    CHECK(connect(stream, closed) == Errc::refused);

    rlimit usual{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &usual) == 0);
    rlimit none = usual;
    none.rlim_cur = 0;
    stream.close();
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
    const auto error = stream.begin_connect(closed);
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &usual) == 0);
    CHECK(error == Errc::no_memory);
}

TEST_CASE("a socket reads what there is, and knows when it is of no more use") {
    const Local local;
    Listener listener{Address::of_path(local.path())};
    SocketStream stream;
    REQUIRE_FALSE(connect(stream, listener.address));
    listener.accept();
    std::array<char, 8> buffer{};
    CHECK_FALSE(stream.is_stale());
    CHECK(stream.try_read(buffer).status == Status::wants_read);
    listener.say("x");
    CHECK(stream.is_stale());
    const auto read = stream.try_read(buffer);
    CHECK(read.status == Status::done);
    CHECK(read.bytes == 1);
    CHECK_FALSE(stream.is_stale());
    listener.peer.close();
    CHECK(stream.is_stale());
    CHECK(stream.try_read(buffer).status == Status::closed);
    CHECK(stream.try_write("x").status == Status::closed);  // and no signal ends the program
}

TEST_CASE("a socket takes as much as it can, and does not wait") {
    const Local local;
    Listener listener{Address::of_path(local.path())};
    SocketStream stream;
    REQUIRE_FALSE(connect(stream, listener.address));
    listener.accept();
    const std::string much(100'000, 'x');
    std::size_t written = 0;
    auto result = stream.try_write(much);
    for (; result.status == Status::done; result = stream.try_write(much)) written += result.bytes;
    CHECK(result.status == Status::wants_write);
    CHECK(written > 0);
}

TEST_CASE("a read waits until its deadline, and is told so when the peer closes") {
    const Local local;
    Listener listener{Address::of_path(local.path())};
    SocketStream stream;
    std::array<char, 8> buffer{};
    std::size_t count = 0;
    REQUIRE_FALSE(connect(stream, listener.address));
    listener.accept();
    listener.say("x");
    CHECK_FALSE(stream.read(buffer, Deadline{1h}, count));
    CHECK(count == 1);
    utsname system{};
    REQUIRE(::uname(&system) == 0);
    const bool is_blocking = std::string{system.sysname} != "Darwin";  // there it polls
    CHECK(blocks(stream) == is_blocking);
    if (is_blocking) {
        CHECK(limit(stream) > 30min);
        CHECK(limit(stream) < 1h);
    }
    listener.say("yz");
    CHECK_FALSE(stream.read(buffer, Deadline{10s}, count));
    CHECK(count == 2);
    if (is_blocking) {
        CHECK(limit(stream) > 0s);
        CHECK(limit(stream) < 10s);
    }
    listener.say("x");
    CHECK_FALSE(stream.read(buffer, Deadline{1h}, count));
    const Deadline soon{300ms};
    CHECK(stream.read(buffer, soon, count) == Errc::timeout);
    CHECK(soon.has_passed());
    CHECK(count == 0);
    listener.peer.close();
    CHECK(stream.read(buffer, Deadline{1h}, count) == Errc::disconnected);

    // The next connection is as the first one was.
    REQUIRE_FALSE(connect(stream, listener.address));
    listener.accept();
    CHECK_FALSE(blocks(stream));
    listener.say("x");
    CHECK_FALSE(stream.read(buffer, Deadline{1h}, count));
    CHECK(blocks(stream) == is_blocking);
}
