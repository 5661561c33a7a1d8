// SPDX-License-Identifier: MIT
#ifndef SLUICE_REMOTE_DESCRIPTOR_HPP
#define SLUICE_REMOTE_DESCRIPTOR_HPP

#include <sys/stat.h>
#include <unistd.h>

#include <atomic>

namespace sluice::detail::remote {

/// Which file a descriptor stands for. A daemon closes what it inherited through fork(), and the number then belongs to
/// the next file that it opens: only what still is the same file may be closed by its number.
class FileIdentity {
public:
    FileIdentity() = default;
    explicit FileIdentity(int fd) noexcept {
        struct stat status {};
        if (::fstat(fd, &status) != 0) return;
        device_ = status.st_dev;
        inode_ = status.st_ino;
        is_known_ = true;
    }
    bool is_of(int fd) const noexcept {
        const FileIdentity now{fd};
        return is_known_ && now.is_known_ && device_ == now.device_ && inode_ == now.inode_;
    }

private:
    dev_t device_{};
    ino_t inode_{};
    bool is_known_ = false;
};

/// Owns a descriptor; may be closed in a forked child while a thread of the parent was in the middle of using it.
class Descriptor {
public:
    Descriptor() = default;
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() { close(); }

    int get() const noexcept { return fd_.load(std::memory_order_relaxed); }
    bool is_open() const noexcept { return get() >= 0; }
    void reset(int fd) noexcept {
        close();
        if (fd < 0) return;
        identity_ = FileIdentity{fd};
        fd_.store(fd, std::memory_order_release);
    }
    void close() noexcept {
        const int fd = fd_.exchange(-1, std::memory_order_acq_rel);
        if (fd >= 0 && identity_.is_of(fd)) ::close(fd);
    }

private:
    std::atomic<int> fd_{-1};
    FileIdentity identity_{};
};

}  // namespace sluice::detail::remote

#endif
