// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_ASYNC_CALL_HPP
#define SLUICE_REDIS_LINK_ASYNC_CALL_HPP

#include <cstddef>
#include <system_error>
#include <utility>

#include <sluice/redis/wire/call.hpp>
#include <sluice/redis/wire/call_set.hpp>
#include <sluice/redis/wire/encoded_keys.hpp>
#include <sluice/remote/deadline.hpp>

namespace sluice::detail::redis {

/// A call that an event loop has made and that waits for its answer. Owned by the list that it is in. Its error is that of
/// the last attempt.
class AsyncCall : public RoutedCall {
public:
    using Clock = detail::remote::Deadline::Clock;

    AsyncCall() = default;
    AsyncCall(const AsyncCall&) = delete;
    AsyncCall& operator=(const AsyncCall&) = delete;

    /// Finds out the slot of its key, for a cluster. Errors as encode()'s.
    virtual std::error_code find_slot(EncodedKeys& scratch) = 0;
    /// Adds the call to those that go to the server together. An error where it cannot be asked; may throw
    /// std::bad_alloc. `scratch` is memory that is kept from call to call.
    virtual std::error_code encode(EncodedKeys& scratch, CallSet& calls) = 0;
    /// Takes the answer to what encode() added, or the error.
    virtual void decode(CallSet& calls) noexcept = 0;
    /// Whether whoever asked has lost interest: what is not sent need not be.
    virtual bool is_abandoned() const noexcept = 0;
    /// Destroys the call, and then tells the decision to whoever asked, who may do whatever he likes.
    virtual void complete() noexcept = 0;
    /// Destroys the call without a word.
    virtual void destroy() noexcept = 0;

    /// The error that complete() will tell, if any.
    virtual std::error_code outcome() const noexcept = 0;

    CallSet::Ticket ticket = 0;
    Clock::time_point deadline{};

protected:
    ~AsyncCall() = default;

private:
    friend class AsyncCallList;
    AsyncCall* next_ = nullptr;
};

/// Calls, first in, first out. Destroys those that are left.
class AsyncCallList {
public:
    AsyncCallList() = default;
    AsyncCallList(const AsyncCallList&) = delete;
    AsyncCallList& operator=(const AsyncCallList&) = delete;
    ~AsyncCallList() {
        while (!empty()) pop_front()->destroy();
    }

    bool empty() const noexcept { return first_ == nullptr; }
    std::size_t size() const noexcept { return size_; }
    AsyncCall& front() const noexcept { return *first_; }
    AsyncCall& back() const noexcept { return *last_; }
    /// The earliest deadline in a list that is in their order.
    AsyncCall::Clock::time_point earliest() const noexcept {
        return empty() ? AsyncCall::Clock::time_point::max() : first_->deadline;
    }

    void push_back(AsyncCall& call) noexcept {
        (first_ == nullptr ? first_ : last_->next_) = &call;
        last_ = &call;
        ++size_;
    }
    /// Keeps the order of deadlines, which is that of arrival but for calls that have been elsewhere.
    void insert(AsyncCall& call) noexcept {
        if (empty() || last_->deadline <= call.deadline) return push_back(call);
        AsyncCall** place = &first_;
        while ((*place)->deadline <= call.deadline) place = &(*place)->next_;
        call.next_ = *place;
        *place = &call;
        ++size_;
    }
    AsyncCall* pop_front() noexcept {
        AsyncCall* const call = first_;
        first_ = std::exchange(call->next_, nullptr);
        if (first_ == nullptr) last_ = nullptr;
        --size_;
        return call;
    }

    /// Puts all of `other` behind what is here.
    void append(AsyncCallList& other) noexcept {
        if (other.empty()) return;
        (first_ == nullptr ? first_ : last_->next_) = other.first_;
        last_ = other.last_;
        size_ += std::exchange(other.size_, 0);
        other.first_ = other.last_ = nullptr;
    }
    void swap(AsyncCallList& other) noexcept {
        std::swap(first_, other.first_);
        std::swap(last_, other.last_);
        std::swap(size_, other.size_);
    }
    /// Puts all of `other` in front of what is here.
    void prepend(AsyncCallList& other) noexcept {
        other.append(*this);
        swap(other);
    }

private:
    AsyncCall* first_ = nullptr;
    AsyncCall* last_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace sluice::detail::redis

#endif
