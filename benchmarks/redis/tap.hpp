// SPDX-License-Identifier: MIT
#ifndef SLUICE_BENCHMARKS_REDIS_TAP_HPP
#define SLUICE_BENCHMARKS_REDIS_TAP_HPP

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/// A relay between clients and a server on a unix socket, which keeps what the clients send. Until the process ends.
class Tap {
public:
    Tap(const std::string& server, const std::string& path) : server_(server) {
        listener_ = ::socket(AF_UNIX, SOCK_STREAM, 0);
        const sockaddr_un address = address_of(path);
        ::unlink(path.c_str());
        require(::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0, "bind");
        require(::listen(listener_, 16) == 0, "listen");
        std::thread{[this] { accept_all(); }}.detach();
    }
    Tap(const Tap&) = delete;
    Tap& operator=(const Tap&) = delete;

    /// All that was sent since it was last asked for.
    std::string take() {
        const std::lock_guard lock{mutex_};
        return std::exchange(sent_, {});
    }

private:
    static void require(bool holds, const char* what) {
        if (holds) return;
        std::perror(what);
        std::exit(1);
    }
    static sockaddr_un address_of(const std::string& path) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        require(path.size() < sizeof address.sun_path, "path");
        std::memcpy(address.sun_path, path.data(), path.size());
        return address;
    }

    void accept_all() {
        for (;;) {
            const int client = ::accept(listener_, nullptr, nullptr);
            require(client >= 0, "accept");
            const int server = ::socket(AF_UNIX, SOCK_STREAM, 0);
            const sockaddr_un address = address_of(server_);
            require(::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0, "connect");
            std::thread{[=, this] { relay(client, server, true); }}.detach();
            std::thread{[=, this] { relay(server, client, false); }}.detach();
        }
    }

    void relay(int from, int to, bool keeps) {
        std::vector<char> buffer(65'536);
        for (;;) {
            const auto count = ::read(from, buffer.data(), buffer.size());
            if (count <= 0) break;
            if (keeps) {
                const std::lock_guard lock{mutex_};
                sent_.append(buffer.data(), static_cast<std::size_t>(count));
            }
            for (ssize_t done = 0; done != count;) {
                const auto written = ::write(to, buffer.data() + done, static_cast<std::size_t>(count - done));
                if (written <= 0) break;
                done += written;
            }
        }
        ::shutdown(to, SHUT_RDWR);
    }

    std::string server_;
    int listener_ = -1;
    std::mutex mutex_;
    std::string sent_;
};

#endif
