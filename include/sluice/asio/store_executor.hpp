// SPDX-License-Identifier: MIT
#ifndef SLUICE_ASIO_STORE_EXECUTOR_HPP
#define SLUICE_ASIO_STORE_EXECUTOR_HPP

#include <utility>

#include <asio/system_executor.hpp>

namespace sluice::detail::asio_io {

/// Where completions go whose handler does not say: to the executor of the store, or of one that it is made of, or else,
/// as anywhere in Asio, to the system's.
template <class S>
auto store_executor(const S& store) {
    if constexpr (requires { store.get_executor(); }) {
        return store.get_executor();
    } else if constexpr (requires { store.primary(); }) {
        return store_executor(store.primary());
    } else if constexpr (requires { store.store(); }) {
        return store_executor(store.store());
    } else {
        return ::asio::system_executor{};
    }
}

template <class S>
using StoreExecutor = decltype(store_executor(std::declval<const S&>()));

}  // namespace sluice::detail::asio_io

#endif
