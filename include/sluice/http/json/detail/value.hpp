// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_JSON_DETAIL_VALUE_HPP
#define SLUICE_HTTP_JSON_DETAIL_VALUE_HPP

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::http::detail {

/// Text of a file as a message can carry it: printable ASCII, cut where it is long.
inline std::string shown_text(std::string_view text, std::size_t most = 60) {
    std::string out;
    for (const char c : text.substr(0, most)) out += c >= 0x20 && c <= 0x7e ? c : '?';
    return out + (text.size() > most ? "..." : "");
}

/// A JSON value. Unlike nlohmann's its destructor needs no memory, so that a document can be given up without any.
struct JsonValue {
    enum class Kind : std::uint8_t { null, boolean, unsigned_integer, other_number, string, array, object };

    Kind kind = Kind::null;
    bool truth = false;
    std::uint64_t integer = 0;
    std::string text{};                // a string's content, a number as it was written
    std::vector<std::string> names{};  // of an object's members, whose values are the elements
    std::vector<JsonValue> elements{};

    const JsonValue* member(std::string_view name) const noexcept {
        for (std::size_t i = 0; i != names.size(); ++i) {
            if (names[i] == name) return &elements[i];
        }
        return nullptr;
    }

    /// The value as JSON, roughly; what goes beyond `most` characters is left out.
    std::string shown(std::size_t most = 60) const {
        std::string out;
        append_to(out, most);
        return shown_text(out, most);
    }

private:
    void append_to(std::string& out, std::size_t most) const {
        switch (kind) {
            case Kind::null: out += "null"; break;
            case Kind::boolean: out += truth ? "true" : "false"; break;
            case Kind::unsigned_integer: out += std::to_string(integer); break;
            case Kind::other_number: out += text; break;
            case Kind::string: out += '"' + text.substr(0, most) + '"'; break;
            case Kind::array:
            case Kind::object:
                out += kind == Kind::array ? '[' : '{';
                for (std::size_t i = 0; i != elements.size() && out.size() <= most; ++i) {
                    if (i > 0) out += ',';
                    if (kind == Kind::object) out += '"' + names[i].substr(0, most) + "\":";
                    elements[i].append_to(out, most);
                }
                out += kind == Kind::array ? ']' : '}';
                break;
        }
    }
};

}  // namespace sluice::http::detail

#endif
