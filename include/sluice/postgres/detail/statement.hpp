// SPDX-License-Identifier: MIT
#ifndef SLUICE_POSTGRES_DETAIL_STATEMENT_HPP
#define SLUICE_POSTGRES_DETAIL_STATEMENT_HPP

#include <libpq-fe.h>

#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <sluice/postgres/postgres_policy.hpp>
#include <sluice/store.hpp>

namespace sluice::postgres {

/// The one statement that PostgresStore runs: a call of decide_1 with its arguments as text. Never prepared under a
/// name, so that it goes through a pooler that lends each transaction another connection.
class Statement {
public:
    explicit Statement(const std::string& schema) : text_("SELECT " + schema + ".decide_1($1,$2,$3,$4,$5,$6,$7)") {}

    void scope(std::uint64_t id) { arguments_[0] = std::to_string(static_cast<std::int64_t>(id)); }
    void add_key(std::string_view key) {
        std::string& keys = arguments_[1];
        keys += keys.empty() ? "{" : ",";
        keys += "\\\\x";  // an escaped backslash: bytea in hexadecimal
        for (const char c : key) {
            keys += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4];
            keys += "0123456789abcdef"[static_cast<unsigned char>(c) & 15];
        }
    }
    bool has_keys() const noexcept { return !arguments_[1].empty(); }
    void parts(const Parts& parts) {
        std::string& list = arguments_[2];
        for (const std::int64_t number : parts) {
            list += list.empty() ? '{' : ',';
            list += std::to_string(number);
        }
        list += '}';
    }
    void operation(Operation operation, std::uint64_t units) {
        // Far above any limit, far below what sums of two could not hold.
        const auto bounded = static_cast<std::int64_t>(std::min(units, std::uint64_t{1} << 60));
        arguments_[3] = std::to_string(operation == Operation::refund ? -bounded : bounded);
        arguments_[4] = operation == Operation::peek ? "1" : operation == Operation::reset ? "2" : "0";
    }
    void at(std::optional<std::chrono::nanoseconds> now) {
        has_time_ = now.has_value();
        if (now) arguments_[5] = std::to_string(now->count());
    }
    /// For at most so long the server waits for a row that others are changing.
    void patience(std::chrono::nanoseconds wait) {
        using std::chrono::milliseconds;
        arguments_[6] =
            std::to_string(std::max(milliseconds{1}, std::chrono::duration_cast<milliseconds>(wait)).count());
    }

    /// Once all is set and the last key was added.
    void finish() { arguments_[1] += '}'; }

    int send(PGconn* connection) const noexcept {
        constexpr Oid int8 = 20, int4 = 23, int8_array = 1016, bytea_array = 1001;
        constexpr std::array<Oid, 7> types{int8, bytea_array, int8_array, int8, int4, int8, int4};
        std::array<const char*, 7> values{};
        for (std::size_t i = 0; i != values.size(); ++i) values[i] = arguments_[i].c_str();
        if (!has_time_) values[5] = nullptr;
        return PQsendQueryParams(connection, text_.c_str(), static_cast<int>(values.size()), types.data(),
                                 values.data(), nullptr, nullptr, 0);
    }

private:
    std::string text_;
    std::array<std::string, 7> arguments_;
    bool has_time_ = false;
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

}  // namespace sluice::postgres

#endif
