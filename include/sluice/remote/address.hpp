// SPDX-License-Identifier: MIT
#ifndef SLUICE_REMOTE_ADDRESS_HPP
#define SLUICE_REMOTE_ADDRESS_HPP

#include <netdb.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/remote/deadline.hpp>

namespace sluice::detail::remote {

/// Where a server listens: a host name or numeric address and a port, or the path of a unix socket.
struct Endpoint {
    std::string host{};
    std::uint16_t port = 0;
    std::string path{};  ///< used instead of host and port when not empty

    static constexpr std::size_t max_path = sizeof(sockaddr_un::sun_path) - 1;
};

struct Address {
    sockaddr_storage storage{};
    socklen_t length = 0;

    const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
    int family() const noexcept { return storage.ss_family; }
};

/// The addresses of an endpoint. Paths and numeric addresses are known at once. Names are looked up when first needed
/// and after forget(), each time on a thread of its own that ends with the look-up, since getaddrinfo(3) knows no
/// deadline; callers wait for it as long as theirs allows. Thread-safe.
class AddressBook {
public:
    /// Throws std::bad_alloc; a path longer than Endpoint::max_path has to be refused before.
    explicit AddressBook(Endpoint endpoint) : endpoint_(std::move(endpoint)) {
        if (!endpoint_.path.empty()) {
            Address address;
            auto* const local = reinterpret_cast<sockaddr_un*>(&address.storage);
            local->sun_family = AF_UNIX;
            std::memcpy(local->sun_path, endpoint_.path.c_str(), endpoint_.path.size() + 1);
            address.length = static_cast<socklen_t>(sizeof(sockaddr_un));
            known_.push_back(address);
        } else {
            known_ = look_up(endpoint_, AI_NUMERICHOST);
        }
        is_fixed_ = !known_.empty();
    }

    /// Throws std::bad_alloc, and std::system_error where no thread can be started.
    std::error_code find(std::vector<Address>& found, const Deadline& deadline) {
        std::shared_ptr<LookUp> running;
        {
            const std::lock_guard lock{mutex_};
            found = known_;
            if (!found.empty()) return {};
            if (!running_) running_ = start(endpoint_);
            running = running_;
        }
        std::unique_lock wait{running->mutex};
        const bool done = running->finished.wait_until(wait, deadline.at(), [&] { return running->done; });
        if (!done) return Errc::timeout;
        const std::lock_guard lock{mutex_};
        found = running->addresses;
        if (running == running_) {
            running_.reset();
            known_ = found;
        }
        if (found.empty()) return Errc::unresolved;
        return {};
    }

    /// The addresses did not work: look the name up again next time.
    void forget() {
        const std::lock_guard lock{mutex_};
        if (!is_fixed_) known_.clear();
    }

private:
    struct LookUp {
        std::mutex mutex;
        std::condition_variable finished;
        bool done = false;
        std::vector<Address> addresses;
    };

    static std::shared_ptr<LookUp> start(const Endpoint& endpoint) {
        auto task = std::make_shared<LookUp>();
        std::thread([task, endpoint] {
            std::vector<Address> addresses;
            try {
                addresses = look_up(endpoint, 0);
            } catch (...) {  // no memory: as if there were none
            }
            const std::lock_guard lock{task->mutex};
            task->addresses = std::move(addresses);
            task->done = true;
            task->finished.notify_all();
        }).detach();
        return task;
    }

    static std::vector<Address> look_up(const Endpoint& endpoint, int flags) {
        addrinfo hints{};
        hints.ai_family = AF_UNSPEC;
        hints.ai_socktype = SOCK_STREAM;
        hints.ai_flags = flags | AI_NUMERICSERV;
        addrinfo* list = nullptr;
        if (getaddrinfo(endpoint.host.c_str(), std::to_string(endpoint.port).c_str(), &hints, &list) != 0) return {};
        const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner{list, freeaddrinfo};
        std::vector<Address> addresses;
        for (const addrinfo* item = list; item != nullptr; item = item->ai_next) {
            if (item->ai_addrlen > sizeof(sockaddr_storage)) continue;
            Address& address = addresses.emplace_back();
            std::memcpy(&address.storage, item->ai_addr, item->ai_addrlen);
            address.length = static_cast<socklen_t>(item->ai_addrlen);
        }
        return addresses;
    }

    Endpoint endpoint_;
    bool is_fixed_ = false;
    std::mutex mutex_;
    std::vector<Address> known_;
    std::shared_ptr<LookUp> running_;
};

}  // namespace sluice::detail::remote

#endif
