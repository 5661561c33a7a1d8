// SPDX-License-Identifier: MIT
#ifndef SLUICE_POSTGRES_DETAIL_STATEMENT_HPP
#define SLUICE_POSTGRES_DETAIL_STATEMENT_HPP

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <sluice/detail/skew.hpp>
#include <sluice/postgres/detail/call_set.hpp>
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

/// A statement about keys: a call of decide_2, take_2, give_back_2, carry_2 or swap_2, in a transaction of its own. Never prepared
/// under a name. Its arguments are constants in the text, each of exactly the type that the function takes; none holds
/// anything but what is written here: names of our own, numbers, and keys as hexadecimal digits (see CallSet).
class Statement {
public:
    Statement(const std::string& schema, std::string_view function, std::uint64_t scope) {
        head_ = "SELECT " + quoted(schema) + '.';
        head_ += function;
        head_ += '(' + constant(static_cast<std::int64_t>(scope)) + ",ARRAY[";
        call_.head = head_;
    }
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;

    /// As finished.
    Call& call(std::span<const std::string_view> keys) noexcept {
        call_.tail = tail_;
        call_.keys = keys;
        return call_;
    }

    /// What decide_2, take_2, give_back_2 and carry_2 take behind the keys, according to the operation.
    template <Policy P>
    void finish(const Parts& parts, const Request<P>& request, std::optional<std::chrono::nanoseconds> now) {
        tail_ += "]::pg_catalog.bytea[],'{";
        tail_ += parts.kinds;
        tail_ += "}'::pg_catalog.text[],'{";
        tail_ += parts.numbers;
        tail_ += "}'::pg_catalog.int8[],";
        const Operation operation = request.operation;
        call_.has_list = operation != Operation::reset && operation != Operation::give_back;
        call_.numbers_each = !call_.has_list ? 0 : tells_units(operation) ? 4 : 3;
        if (function_of(operation) == "decide_2") {
            tail_ += operation == Operation::peek    ? "'peek'::pg_catalog.text,"
                     : operation == Operation::reset ? "'reset'::pg_catalog.text,"
                                                     : "'consume'::pg_catalog.text,";
        }
        // Far above any limit, far below what sums of two could not hold.
        const auto bounded = static_cast<std::int64_t>(std::min(request.units, std::uint64_t{1} << 60));
        tail_ += constant(operation == Operation::refund ? -bounded : bounded) + ',';
        tail_ += constant(detail::tolerated_skew.count()) + ',';
        if (operation == Operation::give_back)
            tail_ += constant(std::clamp(request.consumed_at, std::chrono::nanoseconds{0}, latest).count()) + ',';
        finish_with(now);
    }
    static std::string_view function_of(Operation operation) noexcept {
        switch (operation) {
            case Operation::take: return "take_2";
            case Operation::give_back: return "give_back_2";
            case Operation::carry: return "carry_2";
            default: return "decide_2";
        }
    }
    /// Whether the function says how many units it decided on.
    static bool tells_units(Operation operation) noexcept {
        return operation == Operation::take || operation == Operation::carry;
    }
    /// What swap_2 takes behind the keys.
    void finish(const detail::remote::StateCells& asked) {
        call_.numbers_each = 2 + asked.fresh.size();
        call_.is_alone = true;
        tail_ +=
            "]::pg_catalog.bytea[]," + constant(static_cast<std::int64_t>(asked.fresh.size())) + "::pg_catalog.int4,'{";
        add_numbers(asked.fresh);
        tail_ += "}'::pg_catalog.int8[],'{";
        const bool swaps = !asked.cells[0]->next.empty();
        for (const auto* const cell : asked.cells) {
            if (swaps) add_numbers(cell->state);
        }
        tail_ += "}'::pg_catalog.int8[],'{";
        for (const auto* const cell : asked.cells) add_numbers(cell->next);
        tail_ += "}'::pg_catalog.int8[],'{";
        for (const auto* const cell : asked.cells)
            add_numbers(std::array{static_cast<std::int64_t>(cell->life.count())});
        tail_ += "}'::pg_catalog.int8[],";
        finish_with(asked.now);
    }

private:
    static std::string constant(std::int64_t number) { return '\'' + std::to_string(number) + "'::pg_catalog.int8"; }

    void add_numbers(std::span<const std::int64_t> numbers) {
        for (const std::int64_t number : numbers) {
            if (tail_.back() != '{') tail_ += ',';
            tail_ += std::to_string(number);
        }
    }
    void finish_with(std::optional<std::chrono::nanoseconds> now) {
        tail_ += now ? constant(now->count()) + ')' : "NULL::pg_catalog.int8)";
    }

    std::string head_, tail_;
    Call call_{};
};

}  // namespace sluice::detail::postgres

#endif
