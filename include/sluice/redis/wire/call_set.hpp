// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_WIRE_CALL_SET_HPP
#define SLUICE_REDIS_WIRE_CALL_SET_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include <sluice/detail/stored_text.hpp>
#include <sluice/error.hpp>
#include <sluice/redis/wire/call.hpp>
#include <sluice/redis/wire/slot.hpp>

namespace sluice::detail::redis {

/// Calls that go to the server together, and their answers. Those that can share a run of a script do: of one
/// policy, in one slot. The set keeps a
/// copy of all that it needs of a call, so that whoever asked need not stay for the answer.
class CallSet {
public:
    using Ticket = std::size_t;

    /// Room for usual calls, so that adding them takes no allocation of its own.
    void reserve(std::size_t count) {
        texts_.make_room(count * 128);
        calls_.reserve(count);
        runs_.reserve(8);
        values_.reserve(count * 2);
    }

    void clear() noexcept {
        texts_.clear();
        calls_.clear();
        runs_.clear();
        values_.clear();
        decisions_ = 0;
    }

    /// May throw std::bad_alloc, and then nothing was added.
    Ticket add(const ScriptCall& call) {
        texts_.make_room(call.keys.size() + call.units.size() + call.common->bytes.size());
        make_room(calls_);
        make_room(runs_);
        values_.resize(values_.size() + call.decisions * call.values_each);
        const Ticket ticket = calls_.size();
        calls_.push_back({.keys = texts_.store(call.keys),
                          .units = texts_.store(call.units),
                          .decisions = call.decisions,
                          .first_value = values_.size() - call.decisions * call.values_each});
        const auto shared =
            std::find_if(runs_.begin(), runs_.end(), [&](const Run& run) { return can_share(run, call); });
        if (shared == runs_.end()) {
            runs_.push_back({.scripts = call.scripts,
                             .common = texts_.store(call.common->bytes),
                             .common_count = call.common->count,
                             .keys_each = call.keys_each,
                             .values_each = call.values_each,
                             .slot = call.slot,
                             .asking = call.asking,
                             .is_alone = call.alone,
                             .first = ticket,
                             .last = ticket,
                             .decisions = call.decisions});
        } else {
            calls_[shared->last].next = ticket;
            shared->last = ticket;
            shared->decisions += call.decisions;
        }
        decisions_ += call.decisions;
        return ticket;
    }

    /// Some milliseconds of the server's time.
    static constexpr std::size_t max_decisions = 1'024;
    /// Whether they are not too many together with these.
    bool accepts(std::span<const ScriptCall> more) const noexcept {
        return std::accumulate(more.begin(), more.end(), decisions_, [](std::size_t sum, const ScriptCall& call) {
                   return sum + call.decisions;
               }) <= max_decisions;
    }

    /// Answers without asking the server, as long as no Exchange has begun with it.
    void cancel(Ticket ticket, std::error_code error) noexcept {
        Entry& call = calls_[ticket];
        if (call.is_answered) return;
        call.error = error;
        call.is_answered = true;
        for (Run& run : runs_) {
            for (Ticket at = run.first; at != none; at = calls_[at].next) {
                if (at == ticket) run.decisions -= call.decisions;
            }
        }
        decisions_ -= call.decisions;
    }

    /// Hands the answer to the call that got the ticket, once; nothing may be added meanwhile.
    void collect(Ticket ticket, ScriptCall& call) noexcept {
        Entry& answered = calls_[ticket];
        call.error = answered.error;
        call.redirection = std::move(answered.redirection);
        if (answered.error) return;
        std::copy_n(values_.begin() + static_cast<std::ptrdiff_t>(answered.first_value),
                    call.decisions * call.values_each, call.values.begin());
    }

    std::size_t size() const noexcept { return calls_.size(); }
    /// Not counting those of cancelled calls.
    std::size_t decisions() const noexcept { return decisions_; }

private:
    friend class Exchange;
    static constexpr Ticket none = static_cast<Ticket>(-1);

    using Slice = detail::StoredText::Slice;
    struct Entry {
        Slice keys{};
        Slice units{};
        std::size_t decisions = 0;
        std::size_t first_value = 0;
        Ticket next = none;  ///< in the same run
        bool is_answered = false;
        std::error_code error{};
        Redirection redirection{};
    };
    struct Run {
        const Scripts* scripts = nullptr;
        Slice common{};
        std::size_t common_count{};
        std::size_t keys_each{};
        std::size_t values_each{};
        Slot slot{};
        bool asking{};
        bool is_alone{};
        Ticket first{}, last{};
        std::size_t decisions{};
        bool is_unknown = false;    ///< the server did not know the script, and is sent its text
        bool was_repeated = false;  ///< it did not know it, but another run brought the text meanwhile
    };

    bool can_share(const Run& run, const ScriptCall& call) const noexcept {
        return run.slot == call.slot && run.asking == call.asking && !run.is_alone && !call.alone &&
               run.scripts == call.scripts && run.decisions + call.decisions <= ScriptCall::max_decisions &&
               texts_[run.common] == call.common->bytes;
    }

    template <class T>
    static void make_room(std::vector<T>& list) {
        if (list.size() == list.capacity()) list.reserve(std::max<std::size_t>(8, 2 * list.size()));
    }
    std::span<std::int64_t> values(const Entry& call, std::size_t each) noexcept {
        return std::span{values_}.subspan(call.first_value, call.decisions * each);
    }

    detail::StoredText texts_;
    std::vector<Entry> calls_;
    std::vector<Run> runs_;
    std::vector<std::int64_t> values_;
    std::size_t decisions_ = 0;
};

}  // namespace sluice::detail::redis

#endif
