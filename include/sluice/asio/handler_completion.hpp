// SPDX-License-Identifier: MIT
#ifndef SLUICE_ASIO_HANDLER_COMPLETION_HPP
#define SLUICE_ASIO_HANDLER_COMPLETION_HPP

#include <atomic>
#include <memory>
#include <utility>

#include <asio/associated_allocator.hpp>
#include <asio/associated_cancellation_slot.hpp>
#include <asio/associated_executor.hpp>
#include <asio/cancellation_type.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/post.hpp>

#include <sluice/decision.hpp>

namespace sluice::detail::asio_io {

/// A handler and the decision that it is to be called with.
template <class Handler>
struct DecidedHandler {
    Handler handler;
    Decision decision;

    void operator()() { std::move(handler)(decision); }

    using allocator_type = ::asio::associated_allocator_t<Handler>;
    allocator_type get_allocator() const noexcept { return ::asio::get_associated_allocator(handler); }
};

/// Posts the handler to its executor, which has work until then. Always posts: a handler may throw, and out of run() at
/// that, and those that ask again ask all of them before anything is sent.
template <class Handler, class DefaultExecutor>
class HandlerCompletion {
public:
    HandlerCompletion(Handler handler, const DefaultExecutor& executor)
        : handler_(std::move(handler)), work_(::asio::get_associated_executor(handler_, executor)) {}

    void operator()(Decision decision) && {
        const auto work = std::move(work_);
        ::asio::post(work.get_executor(), DecidedHandler<Handler>{std::move(handler_), decision});
    }

    ::asio::associated_allocator_t<Handler> get_allocator() const noexcept {
        return ::asio::get_associated_allocator(handler_);
    }

private:
    Handler handler_;
    ::asio::executor_work_guard<::asio::associated_executor_t<Handler, DefaultExecutor>> work_;
};

/// The same of a handler whose cancellation slot is connected: whichever comes first, the signal or the answer, takes it.
/// They may come on two threads.
template <class Handler, class DefaultExecutor>
class CancellableCompletion {
public:
    /// `cancelled` is what a signal completes the handler with.
    CancellableCompletion(Handler handler, const DefaultExecutor& executor, const Decision& cancelled) {
        auto slot = ::asio::get_associated_cancellation_slot(handler);
        shared_ = std::make_shared<Shared>(std::move(handler), executor);
        // Whoever has the handler may have the slot: the slot does not own the handler.
        slot.assign([weak = std::weak_ptr{shared_}, cancelled](::asio::cancellation_type type) {
            const auto shared = weak.lock();
            if (shared && type != ::asio::cancellation_type::none) shared->complete(cancelled);
        });
    }

    void operator()(Decision decision) && { shared_->complete(decision); }
    bool is_abandoned() const noexcept { return shared_->is_taken.load(std::memory_order_acquire); }

private:
    struct Shared {
        Shared(Handler handler, const DefaultExecutor& executor) : completion(std::move(handler), executor) {}

        void complete(const Decision& decision) {
            if (!is_taken.exchange(true, std::memory_order_acq_rel)) std::move(completion)(decision);
        }

        HandlerCompletion<Handler, DefaultExecutor> completion;
        std::atomic<bool> is_taken{false};
    };
    std::shared_ptr<Shared> shared_{};
};

}  // namespace sluice::detail::asio_io

#endif
