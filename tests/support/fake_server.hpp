// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_SUPPORT_FAKE_SERVER_HPP
#define SLUICE_TESTS_SUPPORT_FAKE_SERVER_HPP

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/// One connection of a FakeServer, as its behaviour sees it. Writing to a peer that has gone does nothing.
class FakePeer {
public:
    FakePeer(int socket, const std::atomic<bool>& over) : socket_(socket), over_(over) {}

    bool is_over() const { return over_; }

    /// What arrives next, empty when the peer has closed or the server ends.
    std::string read() const {
        while (!over_) {
            pollfd item{socket_, POLLIN, 0};
            if (::poll(&item, 1, 20) <= 0) continue;
            std::array<char, 65'536> buffer;
            const auto count = ::recv(socket_, buffer.data(), buffer.size(), 0);
            return count > 0 ? std::string{buffer.data(), static_cast<std::size_t>(count)} : std::string{};
        }
        return {};
    }
    void write(std::string_view bytes) const {
        while (!bytes.empty() && !over_) {
            const auto count = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
            if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
                wait(std::chrono::milliseconds{1});
                continue;
            }
            if (count <= 0) return;
            bytes.remove_prefix(static_cast<std::size_t>(count));
        }
    }
    void wait(std::chrono::milliseconds time) const {
        const auto end = std::chrono::steady_clock::now() + time;
        while (!over_ && std::chrono::steady_clock::now() < end) {
            std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(std::chrono::milliseconds{10},
                                                                           end - std::chrono::steady_clock::now()));
        }
    }
    /// Says nothing more until the peer closes.
    void fall_silent() const {
        while (!read().empty()) {
        }
    }
    /// Closes with a reset instead of an orderly end.
    void reset() const {
        const linger now{1, 0};
        ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }

private:
    int socket_;
    const std::atomic<bool>& over_;
};

/// A TCP server on a free port of 127.0.0.1 that treats each connection, on a thread of its own, as it is told.
class FakeServer {
public:
    using Behaviour = std::function<void(const FakePeer&)>;

    explicit FakeServer(Behaviour behaviour)
        : behaviour_(std::move(behaviour)), socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        if (::bind(socket_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(socket_, 64) != 0 ||
            ::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
            ::close(socket_);
            throw std::runtime_error{"cannot listen"};
        }
        port_ = ntohs(address.sin_port);
        acceptor_ = std::thread{[this] { accept(); }};
    }
    ~FakeServer() {
        over_ = true;
        acceptor_.join();
        for (auto& thread : threads_) thread.join();
        ::close(socket_);
    }
    FakeServer(const FakeServer&) = delete;
    FakeServer& operator=(const FakeServer&) = delete;

    std::string url() const { return "redis://127.0.0.1:" + std::to_string(port_); }
    int connections() const noexcept { return connections_; }

private:
    void accept() {
        while (!over_) {
            pollfd item{socket_, POLLIN, 0};
            if (::poll(&item, 1, 20) <= 0) continue;
            const int peer = ::accept(socket_, nullptr, nullptr);
            if (peer < 0) continue;
            const int on = 1;
            ::setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            ++connections_;
            threads_.emplace_back([this, peer] {
                behaviour_(FakePeer{peer, over_});
                ::close(peer);
            });
        }
    }

    Behaviour behaviour_;
    int socket_;
    int port_ = 0;
    std::atomic<bool> over_{false};
    std::atomic<int> connections_{0};
    std::list<std::thread> threads_;
    std::thread acceptor_;
};

/// What a proxy does to replies on their way back.
struct ProxyOptions {
    std::chrono::milliseconds delay{0};
    std::size_t bytes_per_second = 0;  ///< 0: no limit
};

/// A behaviour that passes everything on to the unix socket at `path`, and the replies back as told. `options` may be
/// changed by the test meanwhile, under its mutex.
struct Proxy {
    std::string path;
    std::mutex mutex{};
    ProxyOptions options{};

    void set(const ProxyOptions& next) {
        const std::lock_guard lock{mutex};
        options = next;
    }

    void operator()(const FakePeer& peer) {
        const int upstream = ::socket(AF_UNIX, SOCK_STREAM, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        if (::connect(upstream, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) pass(peer, upstream);
        ::close(upstream);
    }

private:
    void pass(const FakePeer& peer, int upstream) {
        for (auto request = peer.read(); !request.empty(); request = peer.read()) {
            if (::send(upstream, request.data(), request.size(), MSG_NOSIGNAL) < 0) return;
            std::array<char, 65'536> buffer;
            const auto count = ::recv(upstream, buffer.data(), buffer.size(), 0);
            if (count <= 0) return;
            ProxyOptions now;
            {
                const std::lock_guard lock{mutex};
                now = options;
            }
            peer.wait(now.delay);
            const std::string_view reply{buffer.data(), static_cast<std::size_t>(count)};
            if (now.bytes_per_second == 0) {
                peer.write(reply);
                continue;
            }
            for (const char byte : reply) {
                peer.wait(std::chrono::milliseconds{1000 / now.bytes_per_second});
                peer.write({&byte, 1});
            }
        }
    }
};

#endif
