// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_DETAIL_HTTP_DATE_HPP
#define SLUICE_HTTP_DETAIL_HTTP_DATE_HPP

#include <sluice/detail/cpp20.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string_view>

#include <sluice/http/detail/structured_list.hpp>

namespace sluice::http::detail {

/// Reads a date in one of HTTP's three formats (RFC 9110, section 5.6.7). The name of the day has to be one, not the right one.
class HttpDate {
public:
    using Seconds = std::chrono::sys_seconds;

    explicit HttpDate(std::string_view text) noexcept : rest_(text) {}

    std::optional<Seconds> parse(Seconds today) noexcept {
        const bool is_read = imf_fixdate() || rfc850(today) || asctime();
        const std::chrono::year_month_day date{std::chrono::year{year_},
                                               std::chrono::month{static_cast<unsigned>(month_)},
                                               std::chrono::day{static_cast<unsigned>(day_)}};
        if (!is_read || !date.ok() || hour_ > 23 || minute_ > 59 || second_ > 60) return std::nullopt;
        return std::chrono::sys_days{date} + std::chrono::hours{hour_} + std::chrono::minutes{minute_} +
               std::chrono::seconds{second_};
    }

private:
    static constexpr std::array<std::string_view, 7> days{"Monday", "Tuesday",  "Wednesday", "Thursday",
                                                          "Friday", "Saturday", "Sunday"};
    static constexpr std::string_view months = "JanFebMarAprMayJunJulAugSepOctNovDec";

    /// Sun, 06 Nov 1994 08:49:37 GMT
    bool imf_fixdate() noexcept {
        return attempt([&] {
            return day_name(3) && accept(", ") && number(2, day_) && accept(" ") && month() && accept(" ") &&
                   number(4, year_) && accept(" ") && time() && accept(" GMT");
        });
    }
    /// Sunday, 06-Nov-94 08:49:37 GMT; a year that seems to be more than 50 years ahead is of the century before.
    bool rfc850(Seconds today) noexcept {
        const auto read = [&] {
            return day_name(0) && accept(", ") && number(2, day_) && accept("-") && month() && accept("-") &&
                   number(2, year_) && accept(" ") && time() && accept(" GMT");
        };
        if (!attempt(read)) return false;
        const int this_year =
            static_cast<int>(std::chrono::year_month_day{std::chrono::floor<std::chrono::days>(today)}.year());
        year_ += this_year / 100 * 100;
        if (year_ > this_year + 50) year_ -= 100;
        return true;
    }
    /// Sun Nov  6 08:49:37 1994
    bool asctime() noexcept {
        return attempt([&] {
            return day_name(3) && accept(" ") && month() && accept(" ") &&
                   (accept(" ") ? number(1, day_) : number(2, day_)) && accept(" ") && time() && accept(" ") &&
                   number(4, year_);
        });
    }

    /// The whole text, or nothing is taken.
    template <class Read>
    bool attempt(Read read) noexcept {
        const std::string_view before = rest_;
        if (read() && rest_.empty()) return true;
        rest_ = before;
        return false;
    }
    bool accept(std::string_view text) noexcept {
        if (rest_.substr(0, text.size()) != text) return false;
        rest_.remove_prefix(text.size());
        return true;
    }
    bool number(std::size_t digits, int& out) noexcept {
        if (rest_.size() < digits) return false;
        out = 0;
        for (std::size_t i = 0; i != digits; ++i) {
            if (!is_digit(rest_[i])) return false;
            out = out * 10 + (rest_[i] - '0');
        }
        rest_.remove_prefix(digits);
        return true;
    }
    /// So many letters of a day's name, or 0 for all.
    bool day_name(std::size_t letters) noexcept {
        for (const std::string_view day : days) {
            if (accept(letters == 0 ? day : day.substr(0, letters))) return true;
        }
        return false;
    }
    bool month() noexcept {
        for (month_ = 1; month_ <= 12; ++month_) {
            if (accept(months.substr(static_cast<std::size_t>(month_ - 1) * 3, 3))) return true;
        }
        return false;
    }
    bool time() noexcept {
        return number(2, hour_) && accept(":") && number(2, minute_) && accept(":") && number(2, second_);
    }

    std::string_view rest_;
    int year_ = 0, month_ = 0, day_ = 0, hour_ = 0, minute_ = 0, second_ = 0;
};

inline std::optional<std::chrono::sys_seconds> parse_http_date(std::string_view text,
                                                               std::chrono::sys_seconds today) noexcept {
    return HttpDate{text}.parse(today);
}

}  // namespace sluice::http::detail

#endif
