// SPDX-License-Identifier: MIT
#ifndef SLUICE_ANY_COMPLETION_HPP
#define SLUICE_ANY_COMPLETION_HPP

#include <concepts>
#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include <sluice/detail/cpp20.hpp>

namespace sluice {

/// Any callable that takes an Answer, for calls that are virtual. Can be moved, and is called once. Costs an allocation where
/// the callable has more than three words, or might throw when it is moved; that may throw std::bad_alloc.
///
/// std::function would want callables that can be copied, and its header is a seventh of what sluice.hpp costs to parse.
template <class Answer>
class AnyCompletion {
public:
    template <std::invocable<Answer> F>
    requires(!std::same_as<F, AnyCompletion>) AnyCompletion(F done) {
        if constexpr (fits<F>) {
            emplace(std::move(done));
        } else {
            emplace(Boxed<F>{std::make_unique<F>(std::move(done))});
        }
    }
    AnyCompletion(AnyCompletion&& other) noexcept : call_(other.call_), move_(std::exchange(other.move_, nullptr)) {
        if (move_ != nullptr) move_(other.room_, room_);
    }
    AnyCompletion& operator=(AnyCompletion&&) = delete;
    ~AnyCompletion() {
        if (move_ != nullptr) move_(room_, nullptr);
    }

    void operator()(Answer answer) { call_(room_, std::move(answer)); }

private:
    static constexpr std::size_t size = 3 * sizeof(void*);
    template <class F>
    static constexpr bool fits = sizeof(F) <= size &&
                                 alignof(F) <= alignof(void*) && std::is_nothrow_move_constructible_v<F>;

    template <class F>
    struct Boxed {
        std::unique_ptr<F> done;
        void operator()(Answer answer) && {
            F& own = *done;
            std::move(own)(std::move(answer));
        }
    };

    template <class F>
    static F& stored(void* room) noexcept {
        return *std::launder(static_cast<F*>(room));
    }
    template <class F>
    void emplace(F done) noexcept {
        ::new (static_cast<void*>(room_)) F(std::move(done));
        call_ = [](void* room, Answer&& answer) { std::move(stored<F>(room))(std::move(answer)); };
        move_ = [](void* from, void* to) noexcept {
            if (to != nullptr) ::new (to) F(std::move(stored<F>(from)));
            stored<F>(from).~F();
        };
    }

    alignas(void*) std::byte room_[size];
    void (*call_)(void*, Answer&&) = nullptr;
    void (*move_)(void* from, void* to) noexcept = nullptr;  // to nowhere: destroys; null where it was moved away
};

}  // namespace sluice

#endif
