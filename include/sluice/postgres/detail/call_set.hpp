// SPDX-License-Identifier: MIT
#ifndef SLUICE_POSTGRES_DETAIL_CALL_SET_HPP
#define SLUICE_POSTGRES_DETAIL_CALL_SET_HPP

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <sluice/detail/stored_text.hpp>
#include <sluice/error.hpp>

namespace sluice::detail::postgres {

/// A call of one of our functions about some keys: `head`, the keys, `tail` are its SQL.
struct Call {
    std::string_view head{};
    std::string_view tail{};
    std::span<const std::string_view> keys{};
    // How many numbers the answer has for each key: so many, and where it has a list, as many more as the last of these
    // says.
    std::size_t numbers_each = 0;
    bool has_list = false;
    bool is_alone = false;  ///< `tail` tells of these keys alone

    std::vector<std::int64_t> numbers{};  ///< the answer, in the order of the keys
    std::error_code error{};
    bool was_refused = false;  ///< a connection could not be made
};

/// Calls that are one statement: of the same function with the same arguments, but for the keys. The set keeps a copy of all
/// that it needs of a call, so that whoever asked need not stay for the answer.
class CallSet {
public:
    using Ticket = std::size_t;
    static constexpr std::size_t max_keys = 128;

    void reserve(std::size_t count) {
        texts_.make_room(count * 64);
        calls_.reserve(count);
        keys_.reserve(count);
    }
    void clear() noexcept {
        texts_.clear();
        calls_.clear();
        keys_.clear();
        numbers_.clear();
    }

    bool accepts(std::span<const Call> more) const noexcept {
        return more.size() == 1 && keys_.size() + more[0].keys.size() <= max_keys && !is_alone_ && !more[0].is_alone &&
               texts_[head_] == more[0].head && texts_[tail_] == more[0].tail;
    }

    /// One that was accepted, or the first. May throw std::bad_alloc, and then nothing was added.
    Ticket add(const Call& call) {
        std::size_t size = call.head.size() + call.tail.size();
        for (const std::string_view key : call.keys) size += key.size();
        texts_.make_room(size);
        make_room(calls_, 1);
        make_room(keys_, call.keys.size());
        if (calls_.empty()) {
            head_ = texts_.store(call.head);
            tail_ = texts_.store(call.tail);
            numbers_each_ = call.numbers_each;
            has_list_ = call.has_list;
            is_alone_ = call.is_alone;
        }
        calls_.push_back({.first_key = keys_.size(), .keys = call.keys.size()});
        for (const std::string_view key : call.keys) keys_.push_back({.name = texts_.store(key)});
        return calls_.size() - 1;
    }

    /// Answers without asking the server, unless it is answered already.
    void cancel(Ticket ticket, std::error_code error) noexcept {
        Entry& call = calls_[ticket];
        if (!call.is_answered) call.error = error;
        call.is_answered = true;
    }
    void fail(std::error_code error) noexcept {
        for (Ticket ticket = 0; ticket != calls_.size(); ++ticket) cancel(ticket, error);
    }
    /// No connection could be made.
    void refuse(std::error_code error) noexcept {
        for (Entry& call : calls_) call.was_refused = !call.is_answered;
        fail(error);
    }

    /// Hands the answer to the call that got the ticket.
    void collect(Ticket ticket, Call& call) const noexcept {
        const Entry& answered = calls_[ticket];
        call.error = answered.error;
        call.was_refused = answered.was_refused;
        if (answered.error) return;
        try {
            for (std::size_t i = answered.first_key; i != answered.first_key + answered.keys; ++i) {
                const auto first = numbers_.begin() + static_cast<std::ptrdiff_t>(keys_[i].first_number);
                call.numbers.insert(call.numbers.end(), first, first + static_cast<std::ptrdiff_t>(keys_[i].numbers));
            }
        } catch (...) {
            call.error = Errc::no_memory;
        }
    }

    std::size_t size() const noexcept { return calls_.size(); }
    /// That are not answered.
    std::vector<Ticket> open_calls() const {
        std::vector<Ticket> open;
        for (Ticket ticket = 0; ticket != calls_.size(); ++ticket) {
            if (!calls_[ticket].is_answered) open.push_back(ticket);
        }
        return open;
    }

    /// The statement of some calls that are not answered. Everyone asks for rows in the order of their keys, so that no two
    /// statements wait for each other's rows; the same key several times is asked for in the order given.
    std::string statement(std::span<const Ticket> asked) {
        order_.clear();
        for (const Ticket ticket : asked) {
            for (std::size_t i = 0; i != calls_[ticket].keys; ++i) order_.push_back(calls_[ticket].first_key + i);
        }
        std::sort(order_.begin(), order_.end(), [&](std::size_t a, std::size_t b) {
            return std::pair{texts_[keys_[a].name], a} < std::pair{texts_[keys_[b].name], b};
        });
        std::string sql{texts_[head_]};
        for (const std::size_t i : order_) {
            sql += sql.back() == '[' ? "E'\\\\x" : ",E'\\\\x";  // whatever standard_conforming_strings says
            for (const char c : texts_[keys_[i].name]) {
                sql += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4];
                sql += "0123456789abcdef"[static_cast<unsigned char>(c) & 15];
            }
            sql += '\'';
        }
        return sql += texts_[tail_];
    }

    /// What the server answered to the statement that was made last: numbers as Postgres writes an array, {1,2,3}.
    void answer(std::span<const Ticket> asked, std::string_view numbers) {
        bool is_valid = numbers.starts_with('{') && numbers.ends_with('}');
        if (is_valid) numbers = numbers.substr(1, numbers.size() - 2);
        for (const std::size_t i : order_) {
            Key& key = keys_[i];
            key.first_number = numbers_.size();
            for (std::size_t left = numbers_each_; left != 0 && is_valid; --left) is_valid = take_number(numbers);
            if (has_list_ && is_valid) {
                for (std::int64_t left = numbers_.back(); left > 0 && is_valid; --left) is_valid = take_number(numbers);
            }
            key.numbers = numbers_.size() - key.first_number;
        }
        is_valid = is_valid && numbers.empty();
        for (const Ticket ticket : asked)
            cancel(ticket, is_valid ? std::error_code{} : make_error_code(Errc::protocol));
    }

private:
    using Slice = detail::StoredText::Slice;
    struct Entry {
        std::size_t first_key = 0;
        std::size_t keys = 0;
        bool is_answered = false;
        bool was_refused = false;
        std::error_code error{};
    };
    struct Key {
        Slice name{};
        std::size_t first_number = 0;
        std::size_t numbers = 0;
    };

    bool take_number(std::string_view& list) {
        std::int64_t number = 0;
        const char* const end = list.data() + list.size();
        const auto [stop, error] = std::from_chars(list.data(), end, number);
        if (error != std::errc{} || (stop != end && *stop != ',')) return false;
        list.remove_prefix(static_cast<std::size_t>(stop - list.data()) + (stop == end ? 0 : 1));
        numbers_.push_back(number);
        return true;
    }

    template <class T>
    static void make_room(std::vector<T>& list, std::size_t more) {
        if (list.size() + more > list.capacity()) list.reserve(std::max(list.size() + more, 2 * list.size()));
    }

    detail::StoredText texts_;
    Slice head_{}, tail_{};
    std::size_t numbers_each_ = 0;
    bool has_list_ = false;
    bool is_alone_ = false;
    std::vector<Entry> calls_;
    std::vector<Key> keys_;
    std::vector<std::size_t> order_;  // of the keys in the last statement
    std::vector<std::int64_t> numbers_;
};

}  // namespace sluice::detail::postgres

#endif
