// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_ADAPTER_HPP
#define SLUICE_HTTP_ADAPTER_HPP

#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>

#include <sluice/detail/exceptions.hpp>
#include <sluice/http/asked.hpp>
#include <sluice/http/detail/text.hpp>
#include <sluice/http/guard.hpp>

// The contract of an adapter, and what all of them share. An adapter shows the guard what its framework knows of a
// request, and does what the guard says:
//
//     Asked asked{.method = ..., .path = ..., .peer = ..., .query = ..., .header = headers};
//     Answer answer = guard.handle(std::move(asked));          // never throws
//     if (!answer.allowed) ...                                 // answer.denial.status, and put_denial()
//     put_fields(answer, [&](const char* name, std::string_view value) { ... });   // into every answer
//
// A denied request's body has to be read, or its connection to end: else the rest is taken for the next request.
namespace sluice::http {

/// Looks up headers in a map or a sequence of names and values, whatever the case of letters; linear in their number, without an
/// allocation. (A map's own search would compare names letter by letter, through a locale in some frameworks.)
///
/// Several lines of one name are unreadable where their order is lost: in an unordered map, and in one that compares bytes, where
/// a client's "x-forwarded-for" would stand behind a proxy's "X-Forwarded-For".
template <class Map>
class MapHeaders {
public:
    explicit MapHeaders(const Map& map) noexcept : map_(map) {}

    void operator()(std::string_view name, HeaderValues& values) const {
        auto first = map_.end();
        for (auto line = map_.begin(); line != map_.end(); ++line) {
            if (!detail::equals_ignoring_case(line->first, name)) continue;
            values.add(line->second);
            if (first == map_.end()) first = line;
            if (first != line && !keeps_order(first->first, line->first)) values.mark_unreadable();
        }
    }

private:
    /// Of two lines' names, which differ in case at most: whether the lines are in the order they came.
    template <class Name>
    bool keeps_order([[maybe_unused]] const Name& first, [[maybe_unused]] const Name& second) const {
        if constexpr (requires { typename Map::hasher; }) {
            return false;
        } else if constexpr (requires { typename Map::key_compare; }) {
            return !map_.key_comp()(first, second);
        } else {
            return true;
        }
    }

    const Map& map_;
};

/// Calls set(const char* name, std::string_view value) for each field of the answer, or with a std::string as `set` takes
/// it; where that throws, the rest is left out: the answer is worth more.
template <class Set>
void put_fields(const Answer& answer, Set&& set) noexcept {
    const auto put = [&] {
        for (const Field field : answer.fields) {
            if constexpr (std::is_invocable_v<Set&, const char*, std::string_view>) {
                set(field.name, field.value);
            } else {
                set(field.name, std::string{field.value});
            }
        }
    };
    sluice::detail::try_or(put, [] {});
}

/// Writes a denial: its fields and Content-Type by set(), as put_fields() does, and its body.
template <class Set>
void put_denial(const Answer& answer, Set&& set, std::string& body) noexcept {
    put_fields(answer, set);
    const auto explain = [&] {
        set("Content-Type", answer.denial.content_type);
        body = answer.denial.content;
    };
    sluice::detail::try_or(explain, [] {});  // no memory: a denial without an explanation
}

/// What the program says about the caller; nothing where it throws.
template <class Identify, class Request>
Caller identified(const Identify& identify, const Request& request) noexcept {
    return sluice::detail::try_or([&]() -> Caller { return identify(request); }, [] { return Caller{}; });
}

/// Holds a request that a LeakyBucket paces, with its thread, if the guard is told to.
inline void hold(const Answer& answer, const GuardOptions& options) noexcept {
    std::this_thread::sleep_for(std::min(answer.delay, options.max_hold));  // not at all for 0
}

/// The target of a request line without its query, and the query: "/a" and "b=1" of "/a?b=1".
inline std::pair<std::string_view, std::string_view> split_target(std::string_view target) noexcept {
    const auto path = path_of(target);
    const auto rest = target.substr(path.size(), target.find('#') - path.size());
    return {path, rest.empty() ? rest : rest.substr(1)};
}

}  // namespace sluice::http

#endif
