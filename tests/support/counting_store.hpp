// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_SUPPORT_COUNTING_STORE_HPP
#define SLUICE_TESTS_SUPPORT_COUNTING_STORE_HPP

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include <sluice/error.hpp>
#include <sluice/store.hpp>

/// Passes everything on to another store and keeps count of the calls and of the units that it gave, until it is told to
/// fail. Copies count, and fail, together.
template <class S>
class CountingStore {
public:
    explicit CountingStore(S store) : store_(std::move(store)) {}

    std::uint64_t calls() const { return counts_->calls; }
    /// Units consumed and not given back.
    std::uint64_t given() const { return counts_->given - counts_->taken_back; }
    std::uint64_t taken_back() const { return counts_->taken_back; }
    void fail(sluice::Errc error) const { counts_->error = error; }
    void recover() const { counts_->error = sluice::Errc{}; }
    const S& store() const { return store_; }

    template <sluice::Policy P>
    requires sluice::Store<S, P> sluice::Decision decide(const sluice::Request<P>& request)
    const noexcept {
        ++counts_->calls;
        if (failed()) return sluice::failure(counts_->error.load());
        const sluice::Decision decision = store_.decide(request);
        if (request.operation == sluice::Operation::consume && decision.allowed) counts_->given += request.units;
        if (request.operation == sluice::Operation::give_back && !decision.error) counts_->taken_back += request.units;
        return decision;
    }
    template <sluice::Policy P>
    requires sluice::SettlingStore<S, P> sluice::Consumption consume(const sluice::Request<P>& request)
    const noexcept {
        ++counts_->calls;
        if (failed()) return {sluice::failure(counts_->error.load())};
        const sluice::Consumption taken = store_.consume(request);
        counts_->given += taken.units;
        return taken;
    }
    template <sluice::Policy P>
    requires sluice::BatchStore<S, P>
    void decide_many(const sluice::Request<P>& request, std::span<const std::string_view> keys,
                     std::span<sluice::Decision> out) const noexcept {
        ++counts_->calls;
        store_.decide_many(request, keys, out);
        for (const auto& decision : out) counts_->given += decision.allowed ? request.units : 0;
    }

private:
    struct Counts {
        std::atomic<std::uint64_t> calls{0}, given{0}, taken_back{0};
        std::atomic<sluice::Errc> error{};
    };

    bool failed() const { return counts_->error.load() != sluice::Errc{}; }

    S store_;
    std::shared_ptr<Counts> counts_ = std::make_shared<Counts>();
};

#endif
