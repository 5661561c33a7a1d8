// SPDX-License-Identifier: MIT
#ifndef SLUICE_ASIO_ASIO_DRIVER_HPP
#define SLUICE_ASIO_ASIO_DRIVER_HPP

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string_view>
#include <utility>

#include <sluice/redis/async_redis.hpp>
#include <sluice/redis/link/async_call.hpp>
#include <sluice/redis/redis_options.hpp>
#include <sluice/remote/watch.hpp>

namespace sluice::detail::asio_io {

/// Runs a Redis client on an executor: waits for its descriptors and its time, and tells it. Waits for nothing while
/// nothing is asked, so that io_context::run() may end. All but the constructor belongs to the executor, where one at a
/// time runs. `Asio` names the types and functions of the standalone one, or Boost's.
template <class Asio>
class AsioDriver : public std::enable_shared_from_this<AsioDriver<Asio>> {
public:
    using Executor = typename Asio::Executor;

    AsioDriver(Executor executor, std::string_view url, RedisOptions options)
        : executor_(std::move(executor)), session_(url, std::move(options)), timer_(executor_) {}

    const Executor& executor() const noexcept { return executor_; }
    redis::AsyncSession& session() noexcept { return session_; }

    void ask(redis::AsyncCall& call, std::size_t key_bytes) {
        session_.ask(call, key_bytes);
        go_on_soon();
    }
    void cancel() {
        const auto client = session_.client();
        client->cancel();
        watch();
    }
    void close() {
        const auto client = session_.client();
        client->close();
        sockets_.clear();
        timer_.cancel();
    }

private:
    using Clock = std::chrono::steady_clock;
    using Descriptor = typename Asio::Descriptor;
    using ErrorCode = typename Asio::ErrorCode;

    /// A descriptor of the client's. Its own copy: the client closes its descriptors when it likes, and whoever watches
    /// one must not find another file behind the number.
    struct Socket {
        Watch watch;
        Descriptor descriptor;
        short waited_for = 0;
    };

    /// When all that are ready have asked, what they asked goes out together.
    void go_on_soon() {
        if (std::exchange(is_posted_, true)) return;
        Asio::post(executor_, [self = this->shared_from_this()] {
            self->is_posted_ = false;
            self->go_on(-1);
        });
    }

    void go_on(int fd) {
        const auto client = session_.client();
        client->process(fd);
        watch();
    }

    void watch() {
        auto& client = *session_.client();
        sockets_.remove_if([&](const Socket& socket) { return !client.is_open(socket.watch.id); });
        const auto watches = client.watches();
        for (Socket& socket : sockets_) {
            const bool is_watched = std::any_of(watches.begin(), watches.end(),
                                                [&](const Watch& watch) { return watch.id == socket.watch.id; });
            // Of calls that were cancelled: nobody waits any more.
            if (!is_watched && std::exchange(socket.waited_for, short{0}) != 0) socket.descriptor.cancel();
        }
        for (const Watch& watch : watches) {
            if (Socket* const socket = find(watch)) {
                for (const short event : {short{POLLIN}, short{POLLOUT}}) {
                    if ((watch.events & event & ~socket->waited_for) != 0) wait(*socket, event);
                }
            }
        }
        const auto left = client.timeout();
        if (left == std::chrono::nanoseconds::max()) {
            if (timer_due_ != Clock::time_point::max()) timer_.cancel();
            timer_due_ = Clock::time_point::max();
        } else if (left.count() == 0) {
            go_on_soon();
        } else {
            wait_until(Clock::now() + left);
        }
    }

    Socket* find(const Watch& watch) {
        const auto known = std::find_if(sockets_.begin(), sockets_.end(),
                                        [&](const Socket& socket) { return socket.watch.id == watch.id; });
        if (known != sockets_.end()) return &*known;
        const int copy = ::dup(watch.fd);
        if (copy < 0) return nullptr;  // no descriptors left: the calls end by their timeout
        Descriptor descriptor{executor_};
        ErrorCode error;
        descriptor.assign(copy, error);
        if (error) {
            ::close(copy);
            return nullptr;
        }
        return &sockets_.emplace_back(Socket{watch, std::move(descriptor)});
    }

    void wait(Socket& socket, short event) {
        socket.waited_for = static_cast<short>(socket.waited_for | event);
        socket.descriptor.async_wait(event == POLLIN ? Descriptor::wait_read : Descriptor::wait_write,
                                     [self = this->shared_from_this(), id = socket.watch.id, event](ErrorCode error) {
                                         if (error != Asio::cancelled) self->is_ready(id, event);
                                     });
    }
    void is_ready(std::uint64_t id, short event) {
        const auto known =
            std::find_if(sockets_.begin(), sockets_.end(), [&](const Socket& socket) { return socket.watch.id == id; });
        if (known == sockets_.end()) return;
        known->waited_for = static_cast<short>(known->waited_for & ~event);
        go_on(known->watch.fd);
    }

    /// A time that is later than the last need not be waited for: what is earlier wakes in vain, once, and looks again.
    void wait_until(Clock::time_point due) {
        if (due >= timer_due_) return;
        timer_due_ = due;
        timer_.expires_at(due);
        timer_.async_wait([self = this->shared_from_this()](ErrorCode error) {
            if (error) return;
            self->timer_due_ = Clock::time_point::max();
            self->go_on(-1);
        });
    }

    const Executor executor_;
    redis::AsyncSession session_;
    typename Asio::Timer timer_;
    Clock::time_point timer_due_ = Clock::time_point::max();
    std::list<Socket> sockets_;
    bool is_posted_ = false;
};

}  // namespace sluice::detail::asio_io

#endif
