// SPDX-License-Identifier: MIT
#ifndef SLUICE_DETAIL_IS_NUMBER_HPP
#define SLUICE_DETAIL_IS_NUMBER_HPP

#include <charconv>
#include <string_view>
#include <system_error>

#include <sluice/detail/cpp20.hpp>

namespace sluice::detail {

/// Whether the whole text is a number of that base which fits, and is then in `out`.
template <class Number>
bool is_number(std::string_view text, Number& out, int base = 10) noexcept {
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, out, base);
    return error == std::errc{} && stop == end;
}

}  // namespace sluice::detail

#endif
