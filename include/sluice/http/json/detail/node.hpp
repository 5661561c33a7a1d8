// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_JSON_DETAIL_NODE_HPP
#define SLUICE_HTTP_JSON_DETAIL_NODE_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <initializer_list>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sluice/http/json/detail/value.hpp>
#include <sluice/http/json/rules_error.hpp>

namespace sluice::http {

namespace detail {

/// A value of a JSON document that knows where it stands (a JSON pointer), and reads itself strictly.
class JsonNode {
public:
    using Kind = JsonValue::Kind;

    JsonNode(const JsonValue& value, const std::string& file, std::string place = {})
        : value_(&value), file_(&file), place_(std::move(place)) {}

    [[noreturn]] void fail(const std::string& why) const { throw RulesError(*file_, place_, why); }
    /// At a place further down, "/routes/0".
    [[noreturn]] void fail_below(const std::string& place, const std::string& why) const {
        throw RulesError(*file_, place_ + place, why);
    }
    [[noreturn]] void fail_value(const std::string& wanted) const {
        fail("must be " + wanted + ", not " + value_->shown());
    }

    /// Fails unless this is an object with no other members than these.
    void check_object(std::initializer_list<std::string_view> known) const {
        if (value_->kind != Kind::object) fail_value("an object");
        for (const auto& name : value_->names) {
            if (std::find(known.begin(), known.end(), name) != known.end()) continue;
            std::string names;
            for (const auto one : known) names += (names.empty() ? "" : ", ") + std::string{one};
            fail("unknown member \"" + shown_text(name) + "\"; known are " + names);
        }
    }
    bool has(std::string_view key) const { return value_->member(key) != nullptr; }
    JsonNode at(const std::string& key) const {
        const JsonValue* member = value_->member(key);
        if (member == nullptr) fail("member \"" + key + "\" is missing");
        return {*member, *file_, place_ + "/" + key};
    }

    const std::string& place() const noexcept { return place_; }
    bool is_string() const noexcept { return value_->kind == Kind::string; }
    bool is_object() const noexcept { return value_->kind == Kind::object; }
    std::size_t size() const noexcept { return value_->elements.size(); }
    /// Of an object; in the order of the document.
    std::vector<std::string> member_names() const {
        if (!is_object()) fail_value("an object");
        return value_->names;
    }

    std::vector<JsonNode> elements() const {
        if (value_->kind != Kind::array) fail_value("an array");
        std::vector<JsonNode> all;
        for (std::size_t i = 0; i < value_->elements.size(); ++i) {
            all.emplace_back(value_->elements[i], *file_, place_ + "/" + std::to_string(i));
        }
        return all;
    }
    /// The same, for lists that mean something else than they say when they are empty.
    std::vector<JsonNode> some_elements() const {
        auto all = elements();
        if (all.empty()) fail("is an empty list, which cannot be meant");
        return all;
    }
    std::string string() const {
        if (value_->kind != Kind::string) fail_value("a string");
        return value_->text;
    }
    std::vector<std::string> strings() const {
        std::vector<std::string> all;
        for (const auto& element : elements()) all.push_back(element.string());
        return all;
    }
    bool boolean() const {
        if (value_->kind != Kind::boolean) fail_value("true or false");
        return value_->truth;
    }
    std::uint64_t integer(std::uint64_t least, std::uint64_t most) const {
        const std::uint64_t value = value_->integer;
        if (value_->kind != Kind::unsigned_integer || value < least || value > most) {
            fail_value("a whole number from " + std::to_string(least) + " to " + std::to_string(most));
        }
        return value;
    }

    /// Calls make() and turns what a constructor finds wrong, or a store cannot do, into an error at this place.
    template <class Make>
    auto checked(Make make) const {
        try {
            return make();
        } catch (const RulesError&) {
            throw;
        } catch (const std::bad_alloc&) {
            throw;
        } catch (const std::exception& error) {
            fail(without_prefix(error.what()));
        }
    }
    /// What a constructor says, without the library's name.
    static std::string without_prefix(std::string_view why) {
        constexpr std::string_view prefix = "sluice: ";
        return std::string{why.substr(why.substr(0, prefix.size()) == prefix ? prefix.size() : 0)};
    }

private:
    const JsonValue* value_;
    const std::string* file_;
    std::string place_;
};

}  // namespace detail

}  // namespace sluice::http

#endif
