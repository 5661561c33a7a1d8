// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_SUPPORT_LIMITED_MEMORY_HPP
#define SLUICE_TESTS_SUPPORT_LIMITED_MEMORY_HPP

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

// Replaces the program's allocation functions: for one source file of a program that tests what happens without memory.

namespace limited_memory {

inline std::atomic<std::int64_t> left{-1};  // allocations; negative: as many as there are

inline void* allocate(std::size_t size, std::size_t alignment) {
    if (left >= 0 && left-- <= 0) {
        left = 0;
        throw std::bad_alloc{};
    }
    if (size == 0) size = 1;
    void* memory = alignment <= alignof(std::max_align_t)
                       ? std::malloc(size)
                       : std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
    if (memory == nullptr) throw std::bad_alloc{};
    return memory;
}

inline void* allocate_or_null(std::size_t size, std::size_t alignment) noexcept {
    try {
        return allocate(size, alignment);
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}

// Not inlined: GCC would see free() take what came from a new that it did not inline, and warn.
[[gnu::noinline]] inline void release(void* memory) noexcept { std::free(memory); }

}  // namespace limited_memory

void* operator new(std::size_t size) { return limited_memory::allocate(size, 1); }
void* operator new[](std::size_t size) { return limited_memory::allocate(size, 1); }
void* operator new(std::size_t size, std::align_val_t alignment) {
    return limited_memory::allocate(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
    return limited_memory::allocate(size, static_cast<std::size_t>(alignment));
}
// Else a sanitizer's own would be mixed with what releases here.
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    return limited_memory::allocate_or_null(size, 1);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
    return limited_memory::allocate_or_null(size, 1);
}
void operator delete(void* memory) noexcept { limited_memory::release(memory); }
void operator delete[](void* memory) noexcept { limited_memory::release(memory); }
void operator delete(void* memory, std::size_t) noexcept { limited_memory::release(memory); }
void operator delete[](void* memory, std::size_t) noexcept { limited_memory::release(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { limited_memory::release(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { limited_memory::release(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { limited_memory::release(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { limited_memory::release(memory); }

#endif
