// SPDX-License-Identifier: MIT
#ifndef SLUICE_POSTGRES_DETAIL_STATEMENT_HPP
#define SLUICE_POSTGRES_DETAIL_STATEMENT_HPP

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <sluice/detail/skew.hpp>
#include <sluice/postgres/postgres_policy.hpp>
#include <sluice/postgres/schema.hpp>
#include <sluice/remote/cas_store.hpp>
#include <sluice/store.hpp>

namespace sluice::detail::postgres {

/// The settings of the transaction that a statement is, whatever the database's defaults are. Several statements in one
/// message are one transaction, which an error ends, and go through a pooler that lends each transaction another
/// connection. An isolation level of a higher kind would fail calls that do not even meet.
inline std::string transaction_settings(std::chrono::nanoseconds lock_wait, std::chrono::nanoseconds longest) {
    using std::chrono::milliseconds;
    const auto ms = [](std::chrono::nanoseconds time) {
        return std::to_string(std::max<milliseconds::rep>(1, std::chrono::ceil<milliseconds>(time).count()));
    };
    return "SET TRANSACTION ISOLATION LEVEL READ COMMITTED;SET LOCAL lock_timeout=" + ms(lock_wait) +
           ";SET LOCAL statement_timeout=" + ms(longest) + ";";
}

/// The latest time that is counted with: sums stay in range.
inline constexpr std::chrono::nanoseconds latest = std::chrono::seconds{4'102'444'800};  // 2100

/// A statement about keys: a call of decide_2, take_2, give_back_2 or swap_2, in a transaction of its own. Never prepared under a name. Its
/// arguments are constants in the text, each of exactly the type that the function takes; none holds anything but what
/// is written here: names of our own, numbers, and keys as hexadecimal digits.
class Statement {
public:
    Statement(const std::string& schema, std::string_view function, std::uint64_t scope) {
        call_ = "SELECT " + quoted(schema) + '.';
        call_ += function;
        call_ += '(' + constant(static_cast<std::int64_t>(scope)) + ",ARRAY[";
    }

    void add_key(std::string_view key) {
        call_ += has_keys_ ? ",E'\\\\x" : "E'\\\\x";  // whatever standard_conforming_strings says
        for (const char c : key) {
            call_ += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4];
            call_ += "0123456789abcdef"[static_cast<unsigned char>(c) & 15];
        }
        call_ += '\'';
        has_keys_ = true;
    }
    /// What decide_2, take_2 and give_back_2 take behind the keys, according to the operation.
    template <Policy P>
    void finish(const Parts& parts, const Request<P>& request, std::optional<std::chrono::nanoseconds> now) {
        call_ += "]::pg_catalog.bytea[],'{";
        call_ += parts.kinds;
        call_ += "}'::pg_catalog.text[],'{";
        call_ += parts.numbers;
        call_ += "}'::pg_catalog.int8[],";
        const Operation operation = request.operation;
        if (function_of(operation) == "decide_2") {
            call_ += operation == Operation::peek    ? "'peek'::pg_catalog.text,"
                     : operation == Operation::reset ? "'reset'::pg_catalog.text,"
                                                     : "'consume'::pg_catalog.text,";
        }
        // Far above any limit, far below what sums of two could not hold.
        const auto bounded = static_cast<std::int64_t>(std::min(request.units, std::uint64_t{1} << 60));
        call_ += constant(operation == Operation::refund ? -bounded : bounded) + ',';
        call_ += constant(detail::tolerated_skew.count()) + ',';
        if (operation == Operation::give_back)
            call_ += constant(std::clamp(request.consumed_at, std::chrono::nanoseconds{0}, latest).count()) + ',';
        finish_with(now);
    }
    static std::string_view function_of(Operation operation) noexcept {
        return operation == Operation::take ? "take_2" : operation == Operation::give_back ? "give_back_2" : "decide_2";
    }
    /// What swap_2 takes behind the keys.
    void finish(const detail::remote::StateCells& asked) {
        call_ +=
            "]::pg_catalog.bytea[]," + constant(static_cast<std::int64_t>(asked.fresh.size())) + "::pg_catalog.int4,'{";
        add_numbers(asked.fresh);
        call_ += "}'::pg_catalog.int8[],'{";
        const bool swaps = !asked.cells[0]->next.empty();
        for (const auto* const cell : asked.cells) {
            if (swaps) add_numbers(cell->state);
        }
        call_ += "}'::pg_catalog.int8[],'{";
        for (const auto* const cell : asked.cells) add_numbers(cell->next);
        call_ += "}'::pg_catalog.int8[],'{";
        for (const auto* const cell : asked.cells)
            add_numbers(std::array{static_cast<std::int64_t>(cell->life.count())});
        call_ += "}'::pg_catalog.int8[],";
        finish_with(asked.now);
    }

    /// `longest`: after so long nobody waits for the answer any more.
    std::string text(std::chrono::nanoseconds lock_wait, std::chrono::nanoseconds longest) const {
        return transaction_settings(lock_wait, longest) + call_;
    }

private:
    static std::string constant(std::int64_t number) { return '\'' + std::to_string(number) + "'::pg_catalog.int8"; }

    void add_numbers(std::span<const std::int64_t> numbers) {
        for (const std::int64_t number : numbers) {
            if (call_.back() != '{') call_ += ',';
            call_ += std::to_string(number);
        }
    }
    void finish_with(std::optional<std::chrono::nanoseconds> now) {
        call_ += now ? constant(now->count()) + ')' : "NULL::pg_catalog.int8)";
    }

    std::string call_;
    bool has_keys_ = false;
};

/// The numbers of an array as Postgres writes it, {1,2,3}, taken one after the other.
class Numbers {
public:
    explicit Numbers(std::string_view text) noexcept : text_(text) {
        is_valid_ = text_.size() >= 2 && text_.front() == '{' && text_.back() == '}';
        if (is_valid_) text_ = text_.substr(1, text_.size() - 2);
    }

    /// 0 where there is no further number; then is_valid() is false from there on.
    std::int64_t next() noexcept {
        std::int64_t number = 0;
        const char* const end = text_.data() + text_.size();
        const auto [stop, error] = std::from_chars(text_.data(), end, number);
        is_valid_ = is_valid_ && error == std::errc{} && (stop == end || *stop == ',');
        if (!is_valid_) return 0;
        text_.remove_prefix(static_cast<std::size_t>(stop - text_.data()) + (stop == end ? 0 : 1));
        return number;
    }
    bool is_valid() const noexcept { return is_valid_; }

private:
    std::string_view text_;
    bool is_valid_ = false;
};

}  // namespace sluice::detail::postgres

#endif
