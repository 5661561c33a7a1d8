// SPDX-License-Identifier: MIT
#ifndef SLUICE_MEMORY_DETAIL_PAGES_HPP
#define SLUICE_MEMORY_DETAIL_PAGES_HPP

#include <cstddef>
#include <cstdint>

#if __has_include(<sys/mman.h>)
#include <sys/mman.h>
#endif

namespace sluice::detail {

inline constexpr std::size_t page_size = 4096;

/// Tells the system that what whole pages within [begin, begin + size) hold is not needed any more; they stay
/// addressable. Where this is not possible they stay in use, which costs memory and nothing else.
inline void release_pages(void* begin, std::size_t size) noexcept {
#if defined(MADV_DONTNEED)
    auto* const from = static_cast<unsigned char*>(begin);
    const std::size_t skip = (page_size - reinterpret_cast<std::uintptr_t>(from) % page_size) % page_size;
    if (size > skip) static_cast<void>(::madvise(from + skip, (size - skip) / page_size * page_size, MADV_DONTNEED));
#else
    static_cast<void>(begin);
    static_cast<void>(size);
#endif
}

}  // namespace sluice::detail

#endif
