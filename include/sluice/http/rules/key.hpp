// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_RULES_KEY_HPP
#define SLUICE_HTTP_RULES_KEY_HPP

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include <sluice/detail/cpp20.hpp>

namespace sluice::http {

/// Joins named parts into a limiter's key so that different parts never make the same key:
///
///     Key{}.add("user", id).add("route", "search")      // user:42|route:search
///
/// '|' and '%' inside a value are percent-encoded, so that a client cannot write a value that reads like two parts.
/// A label is the program's own constant and holds neither of them nor ':'. Keys up to 255 bytes need no allocation;
/// longer ones are kept whole, since a key cut short would be shared. For one thread; may throw std::bad_alloc.
class Key {
public:
    Key() noexcept {}  // not `= default`, which would have all bytes zeroed where keys are value-initialized

    Key& add(std::string_view label, std::string_view value) {
        if (size_ > 0) append("|");
        append(label);
        append(":");
        for (;;) {
            const auto plain = std::find_if(value.begin(), value.end(), [](char c) { return c == '|' || c == '%'; });
            const auto size = static_cast<std::size_t>(plain - value.begin());
            append(value.substr(0, size));
            if (plain == value.end()) return *this;
            append(*plain == '|' ? "%7C" : "%25");
            value.remove_prefix(size + 1);
        }
    }

    std::string_view view() const noexcept {
        return size_ <= small_.size() ? std::string_view{small_.data(), size_} : std::string_view{large_};
    }
    operator std::string_view() const noexcept { return view(); }

private:
    void append(std::string_view part) {
        if (size_ + part.size() <= small_.size()) {
            std::copy(part.begin(), part.end(), small_.begin() + static_cast<std::ptrdiff_t>(size_));
        } else {
            if (size_ <= small_.size()) large_.assign(small_.data(), size_);
            large_ += part;
        }
        size_ += part.size();
    }

    std::size_t size_ = 0;
    std::array<char, 255> small_;
    std::string large_{};
};

}  // namespace sluice::http

#endif
