// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_RULES_KEY_HPP
#define SLUICE_HTTP_RULES_KEY_HPP

#include <algorithm>
#include <cstddef>
#include <string_view>

#include <sluice/detail/cpp20.hpp>
#include <sluice/http/detail/small_text.hpp>

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
        if (text_.size() > 0) text_.append("|");
        text_.append(label);
        text_.append(":");
        for (;;) {
            const auto plain = std::find_if(value.begin(), value.end(), [](char c) { return c == '|' || c == '%'; });
            const auto size = static_cast<std::size_t>(plain - value.begin());
            text_.append(value.substr(0, size));
            if (plain == value.end()) return *this;
            text_.append(*plain == '|' ? "%7C" : "%25");
            value.remove_prefix(size + 1);
        }
    }

    std::string_view view() const noexcept { return text_.view(); }
    operator std::string_view() const noexcept { return view(); }

private:
    detail::SmallText<255> text_;
};

}  // namespace sluice::http

#endif
