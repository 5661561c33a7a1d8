// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_RULES_KEY_HPP
#define SLUICE_HTTP_RULES_KEY_HPP

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
    Key& add(std::string_view label, std::string_view value) {
        if (size_ > 0) append('|');
        for (const char c : label) append(c);
        append(':');
        for (const char c : value) {
            if (c == '|') {
                for (const char e : std::string_view{"%7C"}) append(e);
            } else if (c == '%') {
                for (const char e : std::string_view{"%25"}) append(e);
            } else {
                append(c);
            }
        }
        return *this;
    }

    std::string_view view() const noexcept {
        return size_ <= small_.size() ? std::string_view{small_.data(), size_} : std::string_view{large_};
    }
    operator std::string_view() const noexcept { return view(); }

private:
    void append(char c) {
        if (size_ < small_.size()) {
            small_[size_] = c;
        } else {
            if (size_ == small_.size()) large_.assign(small_.data(), size_);
            large_ += c;
        }
        ++size_;
    }

    std::size_t size_ = 0;
    std::array<char, 255> small_;
    std::string large_{};
};

}  // namespace sluice::http

#endif
