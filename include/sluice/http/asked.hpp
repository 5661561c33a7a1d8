// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_ASKED_HPP
#define SLUICE_HTTP_ASKED_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

#include <sluice/detail/exceptions.hpp>
#include <sluice/http/rules/caller.hpp>

namespace sluice::http {

/// The values of one header, a line each, in the order they came. Views of the framework's request.
class HeaderValues {
public:
    static constexpr std::size_t max_lines = 32;

    void add(std::string_view value) noexcept {
        if (count_ == values_.size()) return mark_unreadable();
        values_[count_++] = value;
    }
    /// For lines whose order the framework does not keep: nobody can say which of them a proxy wrote.
    void mark_unreadable() noexcept { is_unreadable_ = true; }

    /// All lines; one empty line where there are too many, or none can tell their order.
    std::span<const std::string_view> lines() const noexcept {
        static constexpr std::array<std::string_view, 1> unreadable{};
        return is_unreadable_ ? std::span<const std::string_view>{unreadable}
                              : std::span<const std::string_view>{values_.data(), count_};
    }
    /// The value of a header that is there once; nothing if it is missing or there several times.
    std::optional<std::string_view> only() const noexcept {
        if (count_ != 1 || is_unreadable_) return std::nullopt;
        return values_[0];
    }

private:
    std::array<std::string_view, max_lines> values_{};
    std::size_t count_ = 0;
    bool is_unreadable_ = false;
};

/// How to look up the headers of a request: refers to a callable of the adapter's, find(name, values), that adds the
/// values of the header to `values`, whatever the case of letters. It has to live as long as this.
class HeaderLookup {
public:
    constexpr HeaderLookup() noexcept = default;

    template <class Find>
    requires std::is_invocable_v<const Find&, std::string_view, HeaderValues&> &&
        (!std::is_same_v<Find, HeaderLookup>)constexpr HeaderLookup(const Find& find) noexcept
        : source_(&find), find_([](const void* source, std::string_view name, HeaderValues& values) {
              (*static_cast<const Find*>(source))(name, values);
          }) {}

    /// No values where the callable throws.
    HeaderValues operator()(std::string_view name) const noexcept {
        HeaderValues values;
        if (find_ == nullptr || name.empty()) return values;
        sluice::detail::try_or([&] { find_(source_, name, values); }, [&] { values = {}; });
        return values;
    }

private:
    const void* source_ = nullptr;
    void (*find_)(const void*, std::string_view, HeaderValues&) = nullptr;
};

/// One request, as an adapter shows it to the guard. Views of the framework's request; nothing is copied.
struct Asked {
    std::string_view method{};
    /// What the server routes by, so without the query (path_of cuts it off a raw target): decoded if it decodes.
    std::string_view path{};
    std::string_view peer{};   ///< the socket's address; of a Unix socket anything that is no address
    std::string_view query{};  ///< as it came, without the '?'
    HeaderLookup header{};
    Caller caller{};                           ///< what the program knows of who sends it; an address in it is believed
    std::string_view host{};                   ///< empty: that of the header Host
    std::optional<std::uint64_t> body_size{};  ///< nothing: what Content-Length says
    bool path_is_decoded = true;
    std::string_view rule{};  ///< the rule of this name applies, whatever the path; empty: as the rules' routes say
};

}  // namespace sluice::http

#endif
