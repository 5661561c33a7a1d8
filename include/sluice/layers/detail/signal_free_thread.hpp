// SPDX-License-Identifier: MIT
#ifndef SLUICE_LAYERS_DETAIL_SIGNAL_FREE_THREAD_HPP
#define SLUICE_LAYERS_DETAIL_SIGNAL_FREE_THREAD_HPP

#include <pthread.h>

#include <csignal>
#include <thread>
#include <utility>

#include <sluice/detail/exceptions.hpp>

namespace sluice::detail::layers {

/// Runs `body` in a thread that handles no signals: these are for the program's own. False where there can be no thread.
template <class Body>
bool start_without_signals(std::thread& thread, Body body) noexcept {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const bool is_started = try_or([&] { return thread = std::thread{std::move(body)}, true; }, [] { return false; });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return is_started;
}

}  // namespace sluice::detail::layers

#endif
