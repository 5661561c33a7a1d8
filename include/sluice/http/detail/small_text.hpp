// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_DETAIL_SMALL_TEXT_HPP
#define SLUICE_HTTP_DETAIL_SMALL_TEXT_HPP

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace sluice::http::detail {

/// Text that only grows, and needs no allocation up to N bytes; copies copy only what is there. The appending functions and
/// copies may throw std::bad_alloc.
template <std::size_t N>
class SmallText {
public:
    SmallText() noexcept {}  // not `= default`, which would have the bytes zeroed where the text is value-initialized
    SmallText(const SmallText& other) { *this = other; }
    SmallText(SmallText&& other) noexcept { *this = std::move(other); }
    SmallText& operator=(const SmallText& other) {
        large_ = other.large_;
        copy_small(other);
        return *this;
    }
    SmallText& operator=(SmallText&& other) noexcept {
        large_ = std::move(other.large_);
        copy_small(other);
        return *this;
    }
    ~SmallText() = default;

    std::size_t size() const noexcept { return size_; }
    std::string_view view() const noexcept {
        return size_ <= N ? std::string_view{small_.data(), size_} : std::string_view{large_};
    }

    void append(std::string_view part) {
        if (size_ + part.size() <= N) {
            std::copy(part.begin(), part.end(), small_.begin() + static_cast<std::ptrdiff_t>(size_));
        } else {
            if (size_ <= N) large_.assign(small_.data(), size_);
            large_ += part;
        }
        size_ += part.size();
    }
    void append(std::uint64_t number) {
        constexpr std::size_t longest = 20;  // 2^64 - 1
        if (size_ + longest <= N) {
            char* const start = small_.data() + size_;
            size_ += static_cast<std::size_t>(std::to_chars(start, start + longest, number).ptr - start);
        } else {
            append(std::string_view{std::to_string(number)});
        }
    }

private:
    void copy_small(const SmallText& other) noexcept {
        size_ = other.size_;
        if (size_ <= N) std::copy_n(other.small_.begin(), size_, small_.begin());
    }

    std::size_t size_ = 0;
    std::array<char, N> small_;
    std::string large_{};
};

}  // namespace sluice::http::detail

#endif
