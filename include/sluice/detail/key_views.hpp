// SPDX-License-Identifier: MIT
#ifndef SLUICE_DETAIL_KEY_VIEWS_HPP
#define SLUICE_DETAIL_KEY_VIEWS_HPP

#include <concepts>
#include <cstddef>
#include <memory>
#include <new>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

#include <sluice/decision.hpp>

namespace sluice::detail {

// Not the concepts of <ranges>, a tenth of what sluice.hpp costs to parse.
template <class R>
using KeyReference = decltype(*std::begin(std::declval<const R&>()));

/// Keys in a container of strings, or of views and pointers to strings that live elsewhere.
template <class R>
concept KeyRange = requires(const R& keys) {
    { std::size(keys) } -> std::convertible_to<std::size_t>;
    std::end(keys);
    requires std::convertible_to<KeyReference<R>, std::string_view>;
};

/// Whether a view of a key outlives the look at it: not so where the range makes each key anew, unless what it makes is
/// itself a view of or a pointer to characters that live elsewhere, which nothing has to be done to destroy.
template <class R>
inline constexpr bool has_lasting_keys = std::is_lvalue_reference_v<KeyReference<R>> ||
                                         std::is_trivially_destructible_v<std::remove_cvref_t<KeyReference<R>>>;

/// limiter.try_consume_many(views of the keys, out); makes the views in one allocation unless the keys are such already,
/// and without memory for that asks for one key after the other.
template <class Limiter, KeyRange R>
void try_consume_range(const Limiter& limiter, const R& keys, std::span<Decision> out) noexcept {
    using Views = std::span<const std::string_view>;
    static_assert(has_lasting_keys<R>,
                  "sluice: this range makes each key anew, so that nothing is left to look at: put the keys into a "
                  "container of std::string first");
    if constexpr (std::convertible_to<const R&, Views>) {
        limiter.try_consume_many(Views(keys), out);
    } else {
        const auto size = static_cast<std::size_t>(std::size(keys));
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
