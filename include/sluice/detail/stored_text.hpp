// SPDX-License-Identifier: MIT
#ifndef SLUICE_DETAIL_STORED_TEXT_HPP
#define SLUICE_DETAIL_STORED_TEXT_HPP

#include <cstddef>
#include <string>
#include <string_view>

namespace sluice::detail {

/// Copies of texts, one behind the other in one allocation.
class StoredText {
public:
    /// Which of them.
    struct Slice {
        std::size_t begin = 0;
        std::size_t size = 0;
    };

    void clear() noexcept { bytes_.clear(); }
    /// Room for so many bytes more, so that store() does not throw.
    void make_room(std::size_t bytes) { bytes_.reserve(bytes_.size() + bytes); }
    Slice store(std::string_view text) {
        const Slice slice{bytes_.size(), text.size()};
        bytes_ += text;
        return slice;
    }
    std::string_view operator[](Slice slice) const noexcept {
        return std::string_view{bytes_}.substr(slice.begin, slice.size);
    }

private:
    std::string bytes_;
};

}  // namespace sluice::detail

#endif
