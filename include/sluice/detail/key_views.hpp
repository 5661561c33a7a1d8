// SPDX-License-Identifier: MIT
#ifndef SLUICE_DETAIL_KEY_VIEWS_HPP
#define SLUICE_DETAIL_KEY_VIEWS_HPP

#include <concepts>
#include <cstddef>
#include <memory>
#include <new>
#include <ranges>
#include <span>
#include <string_view>
#include <type_traits>

#include <sluice/decision.hpp>

namespace sluice::detail {

/// Keys in a container of strings, or of views and pointers to strings that live elsewhere.
template <class R>
concept KeyRange = std::ranges::sized_range<R> && std::ranges::forward_range<R> &&
    std::convertible_to<std::ranges::range_reference_t<R>, std::string_view>;

/// Whether a view of a key outlives the look at it: not so where the range makes each key anew, unless what it makes is
/// itself a view of or a pointer to characters that live elsewhere.
template <class R>
inline constexpr bool has_lasting_keys = std::is_lvalue_reference_v<std::ranges::range_reference_t<R>> ||
                                         std::is_pointer_v<std::remove_cvref_t<std::ranges::range_reference_t<R>>> ||
                                         std::ranges::view<std::remove_cvref_t<std::ranges::range_reference_t<R>>>;

/// limiter.try_consume_many(views of the keys, out); makes the views in one allocation unless the keys are such already,
/// and without memory for that asks for one key after the other.
template <class Limiter, KeyRange R>
void try_consume_range(const Limiter& limiter, const R& keys, std::span<Decision> out) noexcept {
    using Views = std::span<const std::string_view>;
    static_assert(has_lasting_keys<const R>,
                  "sluice: this range makes each key anew, so that nothing is left to look at: put the keys into a "
                  "container of std::string first");
    if constexpr (std::convertible_to<const R&, Views>) {
        limiter.try_consume_many(Views(keys), out);
    } else {
        const auto size = static_cast<std::size_t>(std::ranges::size(keys));
        if (size != out.size()) return limiter.try_consume_many(Views{}, out);  // refused as spans are
        const std::unique_ptr<std::string_view[]> views{new (std::nothrow) std::string_view[size]};
        std::size_t i = 0;
        for (auto&& key : keys) {
            if (views) {
                views[i++] = key;
            } else {
                out[i++] = limiter.try_consume(key);
            }
        }
        if (views) limiter.try_consume_many(Views{views.get(), size}, out);
    }
}

}  // namespace sluice::detail

#endif
