// SPDX-License-Identifier: MIT
#ifndef SLUICE_REMOTE_LOOP_HPP
#define SLUICE_REMOTE_LOOP_HPP

#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <memory>
#include <unordered_set>

#include <sluice/remote/descriptor.hpp>

namespace sluice::detail::remote {

/// A pipe by which another thread tells an event loop that something is ready. notify() is for any thread, and does not
/// block; the rest is the loop's.
class LoopWakeup {
public:
    /// False where this process has no descriptors left.
    bool open() noexcept {
        if (reader_.is_open()) return true;
        int ends[2] = {-1, -1};
        if (::pipe(ends) != 0) return false;
        reader_.reset(ends[0]);
        writer_.reset(ends[1]);
        for (const int end : ends) {
            if (::fcntl(end, F_SETFL, O_NONBLOCK) == 0 && ::fcntl(end, F_SETFD, FD_CLOEXEC) == 0) continue;
            reader_.close();
            writer_.close();
            return false;
        }
        return true;
    }

    int descriptor() const noexcept { return reader_.get(); }

    /// Where the pipe is full, the loop has enough to wake for.
    void notify() noexcept {
        const char byte = 0;
        [[maybe_unused]] const auto written = ::write(writer_.get(), &byte, 1);
    }

    void drain() noexcept {
        char bytes[64];
        while (::read(reader_.get(), bytes, sizeof bytes) > 0) {
        }
    }

private:
    Descriptor reader_{};
    Descriptor writer_{};
};

/// Tells the descriptors of a client from each other, though the system uses their numbers again: see Watch::id.
class WatchIds {
public:
    /// Of a descriptor that is opened now; may throw std::bad_alloc.
    std::uint64_t open() {
        open_.insert(last_ + 1);
        return ++last_;
    }
    void close(std::uint64_t id) noexcept { open_.erase(id); }
    bool is_open(std::uint64_t id) const noexcept { return open_.find(id) != open_.end(); }

private:
    std::uint64_t last_ = 0;
    std::unordered_set<std::uint64_t> open_{};
};

/// What must not block is told the loop that it belongs to; a thread that may wait has none.
struct Loop {
    std::shared_ptr<LoopWakeup> wakeup = std::make_shared<LoopWakeup>();
    WatchIds ids{};
};

}  // namespace sluice::detail::remote

#endif
