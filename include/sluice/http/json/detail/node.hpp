// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_JSON_DETAIL_NODE_HPP
#define SLUICE_HTTP_JSON_DETAIL_NODE_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <sluice/http/json/rules_error.hpp>

namespace sluice::http {

namespace detail {

/// A value of a JSON document that knows where it stands (a JSON pointer), and reads itself strictly.
class JsonNode {
public:
    using Json = nlohmann::json;

    JsonNode(const Json& json, const std::string& file, std::string place = {})
        : json_(&json), file_(&file), place_(std::move(place)) {}

    [[noreturn]] void fail(const std::string& why) const { throw RulesError(*file_, place_, why); }
    [[noreturn]] void fail_value(const std::string& wanted) const { fail("must be " + wanted + ", not " + shown()); }

    /// Fails unless this is an object with no other members than these.
    void check_object(std::initializer_list<std::string_view> known) const {
        if (!json_->is_object()) fail_value("an object");
        for (const auto& [key, value] : json_->items()) {
            if (std::find(known.begin(), known.end(), key) != known.end()) continue;
            std::string names;
            for (const auto name : known) names += (names.empty() ? "" : ", ") + std::string{name};
            fail("unknown member \"" + key + "\"; known are " + names);
        }
    }
    bool has(const char* key) const { return json_->contains(key); }
    JsonNode at(const char* key) const {
        if (!has(key)) fail("member \"" + std::string{key} + "\" is missing");
        return {json_->at(key), *file_, place_ + "/" + key};
    }

    std::vector<JsonNode> elements() const {
        if (!json_->is_array()) fail_value("an array");
        std::vector<JsonNode> all;
        for (std::size_t i = 0; i < json_->size(); ++i) {
            all.emplace_back((*json_)[i], *file_, place_ + "/" + std::to_string(i));
        }
        return all;
    }
    std::string string() const {
        if (!json_->is_string()) fail_value("a string");
        return json_->get<std::string>();
    }
    std::vector<std::string> strings() const {
        std::vector<std::string> all;
        for (const auto& element : elements()) all.push_back(element.string());
        return all;
    }
    bool boolean() const {
        if (!json_->is_boolean()) fail_value("true or false");
        return json_->get<bool>();
    }
    std::uint64_t integer(std::uint64_t least, std::uint64_t most) const {
        const auto wanted = "a whole number from " + std::to_string(least) + " to " + std::to_string(most);
        if (!json_->is_number_unsigned()) fail_value(wanted);
        const auto value = json_->get<std::uint64_t>();
        if (value < least || value > most) fail_value(wanted);
        return value;
    }

    /// Calls make() and turns what a constructor finds wrong into an error at this place.
    template <class Make>
    auto checked(Make make) const {
        try {
            return make();
        } catch (const std::invalid_argument& error) {
            std::string_view why = error.what();
            if (why.substr(0, 8) == "sluice: ") why.remove_prefix(8);
            fail(std::string{why});
        }
    }

private:
    std::string shown() const {
        constexpr std::size_t most = 60;
        auto text = json_->dump(-1, ' ', true, Json::error_handler_t::replace);
        if (text.size() > most) text.replace(most, std::string::npos, "...");
        return text;
    }

    const Json* json_;
    const std::string* file_;
    std::string place_;
};

/// Parses a document; a member that is given twice is an error, since only one of them could count.
inline nlohmann::json parse_json(std::string_view text, const std::string& file) {
    using Json = nlohmann::json;
    std::vector<std::set<std::string>> open;
    const auto check = [&](int depth, Json::parse_event_t event, Json& value) {
        if (depth > 16) throw RulesError(file, {}, "nested deeper than 16 levels");
        if (event == Json::parse_event_t::object_start) open.emplace_back();
        if (event == Json::parse_event_t::object_end) open.pop_back();
        if (event == Json::parse_event_t::key && !open.back().insert(value.get<std::string>()).second) {
            throw RulesError(file, {}, "member " + value.dump() + " is given twice");
        }
        return true;
    };
    try {
        return Json::parse(text.begin(), text.end(), check);
    } catch (const Json::parse_error& error) {
        throw RulesError(file, {}, "not JSON, at byte " + std::to_string(error.byte));
    }
}

}  // namespace detail

}  // namespace sluice::http

#endif
