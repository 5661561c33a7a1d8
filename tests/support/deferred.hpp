// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_SUPPORT_DEFERRED_HPP
#define SLUICE_TESTS_SUPPORT_DEFERRED_HPP

// Asio's token for an operation that begins when it is called: at first it was an experiment.
#if __has_include(<asio/deferred.hpp>)
#include <asio/deferred.hpp>
inline constexpr auto& deferred_token = asio::deferred;
#else
#include <asio/experimental/deferred.hpp>
inline constexpr auto& deferred_token = asio::experimental::deferred;
#endif

#endif
