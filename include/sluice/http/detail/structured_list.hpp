// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_DETAIL_STRUCTURED_LIST_HPP
#define SLUICE_HTTP_DETAIL_STRUCTURED_LIST_HPP

#include <sluice/detail/cpp20.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::http::detail {

constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
constexpr bool is_lower(char c) noexcept { return c >= 'a' && c <= 'z'; }
constexpr bool is_alpha(char c) noexcept { return is_lower(c) || (c >= 'A' && c <= 'Z'); }

/// A value of a parameter: those that are neither integers nor strings are only known to be there.
struct StructuredValue {
    enum class Kind : std::uint8_t { integer, string, other } kind = Kind::other;
    std::int64_t integer = 0;
    std::string string{};
};

/// A string with parameters.
struct StructuredItem {
    std::string name;
    std::vector<std::pair<std::string, StructuredValue>> parameters{};

    const StructuredValue* find(std::string_view key) const noexcept {
        const auto found =
            std::find_if(parameters.begin(), parameters.end(), [&](const auto& one) { return one.first == key; });
        return found == parameters.end() ? nullptr : &found->second;
    }
    bool has(std::string_view key) const noexcept { return find(key) != nullptr; }
    /// An integer that is not negative.
    std::optional<std::uint64_t> count(std::string_view key) const noexcept {
        const StructuredValue* const value = find(key);
        if (value == nullptr || value->kind != StructuredValue::Kind::integer || value->integer < 0)
            return std::nullopt;
        return static_cast<std::uint64_t>(value->integer);
    }
    std::optional<std::string> string(std::string_view key) const {
        const StructuredValue* const value = find(key);
        if (value == nullptr || value->kind != StructuredValue::Kind::string) return std::nullopt;
        return value->string;
    }
};

/// Reads a list of strings with parameters, by the algorithms of RFC 9651, section 4.2. Of other items, inner lists and dates
/// of a later RFC it says that they are none.
class StructuredList {
public:
    explicit StructuredList(std::string_view text) noexcept : rest_(text) {}

    /// Nothing if the text is no such list; an empty one is.
    std::optional<std::vector<StructuredItem>> parse() {
        std::vector<StructuredItem> items;
        skip(" ");
        while (!rest_.empty()) {
            StructuredItem item;
            if (!string(item.name) || !parameters(item)) return std::nullopt;
            items.push_back(std::move(item));
            skip(" \t");
            if (rest_.empty()) return items;
            if (!accept(',')) return std::nullopt;
            skip(" \t");
            if (rest_.empty()) return std::nullopt;  // a comma at the end
        }
        return items;
    }

private:
    void skip(std::string_view what) noexcept {
        rest_.remove_prefix(std::min(rest_.find_first_not_of(what), rest_.size()));
    }
    bool accept(char c) noexcept {
        if (rest_.empty() || rest_.front() != c) return false;
        rest_.remove_prefix(1);
        return true;
    }
    /// What comes of these characters.
    template <class Is>
    std::string_view run(Is is) noexcept {
        const auto end = std::find_if_not(rest_.begin(), rest_.end(), is);
        const auto length = static_cast<std::size_t>(end - rest_.begin());
        const std::string_view taken = rest_.substr(0, length);
        rest_.remove_prefix(length);
        return taken;
    }

    bool parameters(StructuredItem& item) {
        while (accept(';')) {
            skip(" ");
            if (rest_.empty() || !(is_lower(rest_.front()) || rest_.front() == '*')) return false;
            std::string key{
                run([](char c) { return is_lower(c) || is_digit(c) || c == '_' || c == '-' || c == '.' || c == '*'; })};
            StructuredValue parsed;
            if (accept('=') && !value(parsed)) return false;
            std::erase_if(item.parameters, [&](const auto& one) { return one.first == key; });  // the last one holds
            item.parameters.emplace_back(std::move(key), std::move(parsed));
        }
        return true;
    }

    bool value(StructuredValue& out) {
        if (rest_.empty()) return false;
        const char first = rest_.front();
        if (first == '"') {
            out.kind = StructuredValue::Kind::string;
            return string(out.string);
        }
        if (first == '-' || is_digit(first)) return number(out);
        if (accept('?')) return accept('0') || accept('1');
        if (accept(':')) {
            run([](char c) { return is_alpha(c) || is_digit(c) || c == '+' || c == '/' || c == '='; });
            return accept(':');
        }
        if (!is_alpha(first) && first != '*') return false;
        run([](char c) {
            return is_alpha(c) || is_digit(c) ||
                   std::string_view{"!#$%&'*+-.^_`|~:/"}.find(c) != std::string_view::npos;
        });
        return true;
    }

    bool number(StructuredValue& out) noexcept {
        const bool is_negative = accept('-');
        const std::string_view digits = run(is_digit);
        if (digits.empty() || digits.size() > 15) return false;
        if (accept('.')) {
            const std::string_view fraction = run(is_digit);
            return digits.size() <= 12 && !fraction.empty() && fraction.size() <= 3;
        }
        for (const char digit : digits) out.integer = out.integer * 10 + (digit - '0');
        if (is_negative) out.integer = -out.integer;
        out.kind = StructuredValue::Kind::integer;
        return true;
    }

    bool string(std::string& out) {
        if (!accept('"')) return false;
        while (!rest_.empty()) {
            if (accept('"')) return true;
            const bool is_escaped = accept('\\');
            if (rest_.empty()) return false;
            const char c = rest_.front();
            if (is_escaped ? c != '"' && c != '\\' : c < ' ' || c > '~') return false;
            out += c;
            rest_.remove_prefix(1);
        }
        return false;
    }

    std::string_view rest_;
};

}  // namespace sluice::http::detail

#endif
