// SPDX-License-Identifier: MIT
#ifndef SLUICE_MEMORY_DETAIL_PAGES_HPP
#define SLUICE_MEMORY_DETAIL_PAGES_HPP

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <memory>
#include <new>

#if __has_include(<sys/mman.h>)
#include <sys/mman.h>
#include <unistd.h>
#endif

#include <sluice/detail/exceptions.hpp>

namespace sluice::detail {

/// So many words, all 0, the first at the start of a page; from the system, and not touched, where they are many. Throws
/// std::bad_alloc.
class ZeroedWords {
public:
    using Word = std::atomic<std::uint64_t>;

    explicit ZeroedWords(std::size_t count)
        : memory_(count <= most_bytes / sizeof(Word) ? std::calloc(count * sizeof(Word) + page_size, 1) : nullptr) {
        if (!memory_) throw_or_abort(std::bad_alloc{});
        const auto address = reinterpret_cast<std::uintptr_t>(memory_.get());
        first_ =
            reinterpret_cast<Word*>(static_cast<unsigned char*>(memory_.get()) + (page_size - address % page_size));
    }
    Word* operator+(std::size_t index) const noexcept { return first_ + index; }

private:
    static constexpr std::size_t page_size = 4096;
    static constexpr std::size_t most_bytes = std::numeric_limits<std::size_t>::max() / 2;
    struct Free {
        void operator()(void* memory) const noexcept { std::free(memory); }
    };
    std::unique_ptr<void, Free> memory_;
    Word* first_ = nullptr;
};

/// Tells the system that what whole pages within [begin, begin + size) hold is not needed any more; they stay
/// addressable. Where this is not possible they stay in use, which costs memory and nothing else.
inline void release_pages(void* begin, std::size_t size) noexcept {
#if defined(MADV_DONTNEED)
    const long page = ::sysconf(_SC_PAGESIZE);  // 4, 16 or 64 KiB; the system would round a part of one up
    if (page <= 0) return;
    const std::uintptr_t mask = static_cast<std::uintptr_t>(page) - 1;
    const auto from = reinterpret_cast<std::uintptr_t>(begin);
    const std::uintptr_t first = (from + mask) & ~mask;
    const std::uintptr_t last = (from + size) & ~mask;
    if (first < last) {
        static_cast<void>(::madvise(static_cast<unsigned char*>(begin) + (first - from), last - first, MADV_DONTNEED));
    }
#else
    static_cast<void>(begin);
    static_cast<void>(size);
#endif
}

/// To be called now and then by whoever takes many new pages: takes one and gives it back. While a processor only takes
/// pages, Linux (6.7 and newer) fetches them for it in batches that double up to 2,016, and who needs the first of those
/// waits for 100 to 300 us. A page that comes back halves the exponent: 252 are fetched next (alloc_factor in
/// mm/page_alloc.c). Does nothing where pages are larger than 4 KiB.
inline void keep_page_batches_small() noexcept {
#if defined(__linux__)
    // One of the caller's own might split a huge page. Any number of threads may write; nobody reads.
    struct alignas(4096) Page {
        std::atomic<unsigned char> touched;
    };
    static constinit Page page{};
    page.touched.store(1, std::memory_order_relaxed);
    release_pages(&page, sizeof page);
#endif
}

}  // namespace sluice::detail

#endif
