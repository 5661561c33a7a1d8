// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_SUPPORT_HELD_STORE_HPP
#define SLUICE_TESTS_SUPPORT_HELD_STORE_HPP

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include <sluice/sluice.hpp>

/// What HeldStores have been asked and not answered.
class HeldCalls {
public:
    void add(std::function<void(bool fails)> call) { calls_.push_back(std::move(call)); }
    std::size_t size() const { return calls_.size(); }
    /// The one that came first; what it leads to may ask again.
    void answer(bool fails = false) {
        const auto call = std::move(calls_.front());
        calls_.pop_front();
        call(fails);
    }
    void answer_all() {
        while (size() > 0) answer();
    }

private:
    std::deque<std::function<void(bool)>> calls_;
};

/// A store for event loops alone, in memory, that answers when it is told to.
template <sluice::Policy P>
struct HeldStore {
    template <sluice::Completion F>
    void decide_async(const sluice::Request<P>& request, F done) const noexcept {
        hold(
            request, std::move(done), [](const auto& in, const auto& asked) { return in.decide(asked); },
            sluice::failure(sluice::Errc::timeout));
    }
    template <std::invocable<sluice::Consumption> F>
    void consume_async(const sluice::Request<P>& request, F done) const noexcept {
        hold(
            request, std::move(done), [](const auto& in, const auto& asked) { return in.consume(asked); },
            sluice::Consumption{sluice::failure(sluice::Errc::timeout)});
    }

    std::shared_ptr<HeldCalls> calls = std::make_shared<HeldCalls>();
    sluice::MemoryStore<P> memory{};

private:
    template <class F, class Ask, class Answer>
    void hold(const sluice::Request<P>& request, F done, Ask ask, Answer failed) const {
        struct Copy {
            std::string name, key;
            P policy;
        };
        const auto copy = std::make_shared<const Copy>(
            Copy{std::string{request.scope.name}, std::string{request.key}, request.scope.policy});
        const auto completion = std::make_shared<F>(std::move(done));
        const auto asked = with_scope(request, sluice::Scope<P>{copy->name, copy->policy}, copy->key);
        calls->add([=, in = memory](bool fails) {
            const auto keeps = copy;
            std::move (*completion)(fails ? failed : ask(in, asked));
        });
    }
};

#endif
