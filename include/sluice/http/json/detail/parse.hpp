// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_JSON_DETAIL_PARSE_HPP
#define SLUICE_HTTP_JSON_DETAIL_PARSE_HPP

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <sluice/http/json/detail/value.hpp>
#include <sluice/http/json/rules_error.hpp>

namespace sluice::http::detail {

/// Builds a document from a parser's events. Knows the place (a JSON pointer), and refuses what a strict reader must: a
/// member that is given twice, since only one of them could count, and depth without end.
class JsonBuilder {
public:
    using Json = nlohmann::json;
    using Kind = JsonValue::Kind;

    explicit JsonBuilder(const std::string& file) : file_(&file) {}

    JsonValue take() { return std::move(document_); }

    // What nlohmann::json::sax_parse calls; true: go on.
    bool null() { return add({}); }
    bool boolean(bool value) { return add({.kind = Kind::boolean, .truth = value}); }
    bool number_integer(std::int64_t value) { return add({.kind = Kind::other_number, .text = std::to_string(value)}); }
    bool number_unsigned(std::uint64_t value) { return add({.kind = Kind::unsigned_integer, .integer = value}); }
    bool number_float(double, const std::string& text) { return add({.kind = Kind::other_number, .text = text}); }
    bool string(std::string& value) { return add({.kind = Kind::string, .text = std::move(value)}); }
    bool binary(Json::binary_t&) { return add({}); }  // JSON has none
    bool start_object(std::size_t) { return open(Kind::object); }
    bool start_array(std::size_t) { return open(Kind::array); }
    bool end_object() { return close(); }
    bool end_array() { return close(); }
    bool key(std::string& name) {
        Open& object = open_.back();
        if (!object.names.insert(name).second) {
            auto place = this->place();
            place.resize(place.rfind('/'));
            throw RulesError(*file_, place, "member \"" + shown_text(name) + "\" is given twice");
        }
        object.value->names.push_back(std::move(name));
        return true;
    }
    [[noreturn]] bool parse_error(std::size_t position, const std::string& token, const Json::exception& error) {
        if (error.id / 100 != 1) {  // not one of syntax: 1e999
            throw RulesError(*file_, place(), "a number that is out of range: " + shown_text(token));
        }
        throw RulesError(*file_, {}, "not JSON, at byte " + std::to_string(position));
    }

private:
    struct Open {
        JsonValue* value;
        std::set<std::string> names{};
    };

    /// Of the value that is read, or comes next.
    std::string place() const {
        std::string out;
        for (const auto& [value, names] : open_) {
            const bool is_array = value->kind == Kind::array;
            if (is_array)
                out += '/' + std::to_string(value->elements.size() - (value == open_.back().value ? 0 : 1));
            else
                out += '/' + (value->names.empty() ? "" : shown_text(value->names.back()));
        }
        return out;
    }

    JsonValue& put(JsonValue value) {
        if (open_.empty()) return document_ = std::move(value);
        return open_.back().value->elements.emplace_back(std::move(value));
    }
    bool add(JsonValue value) {
        put(std::move(value));
        return true;
    }
    bool open(Kind kind) {
        if (open_.size() > 16) throw RulesError(*file_, place(), "nested deeper than 16 levels");
        // Elements of an open value stay where they are: only the innermost one grows.
        open_.push_back({&put({.kind = kind})});
        return true;
    }
    bool close() {
        open_.pop_back();
        return true;
    }

    const std::string* file_;
    JsonValue document_{};
    std::vector<Open> open_{};
};

/// Throws RulesError, and std::bad_alloc.
inline JsonValue parse_json(std::string_view text, const std::string& file) {
    JsonBuilder builder{file};
    nlohmann::json::sax_parse(text.begin(), text.end(), &builder);
    return builder.take();
}

}  // namespace sluice::http::detail

#endif
