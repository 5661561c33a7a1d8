// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_SUPPORT_FAKE_SERVER_HPP
#define SLUICE_TESTS_SUPPORT_FAKE_SERVER_HPP

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <deque>
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
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/// One connection of a FakeServer, as its behaviour sees it. Writing to a peer that has gone does nothing.
class FakePeer {
public:
    FakePeer(int socket, const std::atomic<bool>& over) : socket_(socket), over_(over) {}

    bool is_over() const { return over_; }
    int socket() const { return socket_; }

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
    /// Returns when all that was written lies before the peer.
    void wait_for_delivery() const {
        int left = 1;
        while (!over_ && ::ioctl(socket_, TIOCOUTQ, &left) == 0 && left != 0) wait(std::chrono::milliseconds{1});
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

/// A TCP server on 127.0.0.1 that treats each connection, on a thread of its own, as it is told.
class FakeServer {
public:
    using Behaviour = std::function<void(const FakePeer&)>;

    /// On a port that is given, or any.
    explicit FakeServer(Behaviour behaviour, int port = 0)
        : behaviour_(std::move(behaviour)), socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(static_cast<std::uint16_t>(port));
        const int on = 1;
        ::setsockopt(socket_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
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

/// What a proxy does to replies on their way back, and to its connections.
struct ProxyOptions {
    std::chrono::milliseconds delay{0};
    std::size_t bytes_per_second = 0;            ///< 0: no limit
    std::chrono::milliseconds forgets_after{0};  ///< idle connections, without a word; 0: never
    std::size_t closes_after = 0;                ///< so many bytes of replies; 0: never
};

/// A behaviour that passes everything on to the unix socket at `path`, or to a port of 127.0.0.1, and the replies back as told. Both may be changed
/// by the test meanwhile: connections that exist stay where they are, as behind a load balancer.
class Proxy {
public:
    explicit Proxy(std::string path) : path_(std::move(path)) {}
    explicit Proxy(int port) : port_(port) {}

    void set(const ProxyOptions& next) {
        const std::lock_guard lock{mutex_};
        options_ = next;
    }
    void redirect(const std::string& path) {
        const std::lock_guard lock{mutex_};
        path_ = path;
    }

    void operator()(const FakePeer& peer) {
        const int upstream = dial();
        if (upstream < 0) return;
        pass(peer, upstream);
        ::close(upstream);
    }

private:
    using Clock = std::chrono::steady_clock;
    struct Chunk {
        Clock::time_point due;
        std::string bytes;
    };

    int dial() {
        sockaddr_un local{};
        local.sun_family = AF_UNIX;
        sockaddr_in remote{};
        remote.sin_family = AF_INET;
        remote.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        remote.sin_port = htons(static_cast<std::uint16_t>(port_));
        {
            const std::lock_guard lock{mutex_};
            path_.copy(local.sun_path, sizeof local.sun_path - 1);
        }
        const int upstream = ::socket(port_ == 0 ? AF_UNIX : AF_INET, SOCK_STREAM, 0);
        const auto* const address =
            port_ == 0 ? reinterpret_cast<sockaddr*>(&local) : reinterpret_cast<sockaddr*>(&remote);
        const socklen_t size = port_ == 0 ? sizeof local : sizeof remote;
        if (::connect(upstream, address, size) == 0) return upstream;
        ::close(upstream);
        return -1;
    }

    ProxyOptions options() {
        const std::lock_guard lock{mutex_};
        return options_;
    }

    void pass(const FakePeer& peer, int upstream) {
        std::deque<Chunk> back;
        auto last_traffic = Clock::now();
        std::size_t returned = 0;
        while (!peer.is_over()) {
            pollfd items[2] = {{peer.socket(), POLLIN, 0}, {upstream, POLLIN, 0}};
            ::poll(items, 2, back.empty() ? 20 : 1);
            const auto now = Clock::now();
            const ProxyOptions told = options();
            std::array<char, 65'536> buffer;
            if (items[0].revents != 0) {
                if (told.forgets_after.count() != 0 && now - last_traffic > told.forgets_after) {
                    peer.fall_silent();
                    return;
                }
                const auto count = ::recv(peer.socket(), buffer.data(), buffer.size(), 0);
                if (count <= 0 || ::send(upstream, buffer.data(), static_cast<std::size_t>(count), MSG_NOSIGNAL) < 0)
                    return;
                last_traffic = now;
            }
            if (items[1].revents != 0) {
                auto count = ::recv(upstream, buffer.data(), buffer.size(), 0);
                if (count <= 0) return;
                const std::size_t left = told.closes_after - returned;
                const bool is_last = told.closes_after != 0 && static_cast<std::size_t>(count) >= left;
                if (is_last) count = static_cast<ssize_t>(left);
                returned += static_cast<std::size_t>(count);
                if (is_last) return peer.write({buffer.data(), static_cast<std::size_t>(count)});
                add(back, {buffer.data(), static_cast<std::size_t>(count)}, now, told);
                last_traffic = now;
            }
            for (; !back.empty() && back.front().due <= Clock::now(); back.pop_front()) peer.write(back.front().bytes);
        }
    }

    static void add(std::deque<Chunk>& back, std::string_view bytes, Clock::time_point now, const ProxyOptions& told) {
        if (told.bytes_per_second == 0) {
            back.push_back({now + told.delay, std::string{bytes}});
            return;
        }
        for (const char byte : bytes) {
            const auto previous = back.empty() ? now : back.back().due;
            back.push_back({previous + std::chrono::milliseconds{1000 / told.bytes_per_second}, std::string{byte}});
        }
    }

    std::mutex mutex_;
    std::string path_;
    int port_ = 0;
    ProxyOptions options_{};
};

#endif
