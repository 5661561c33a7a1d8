// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_WIRE_CALL_HPP
#define SLUICE_REDIS_WIRE_CALL_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <system_error>

#include <sluice/remote/deadline.hpp>
#include <sluice/redis/wire/resp.hpp>
#include <sluice/redis/detail/script.hpp>

namespace sluice::redis {

/// One thread's request to the server: some decisions of one policy, in RESP but for the frame around them. It lies on
/// the thread's stack until it is done.
struct Call {
    // What is asked. A call without scripts is a PING.
    const Scripts* scripts = nullptr;
    const Arguments* common = nullptr;  ///< of all decisions: the policy's, and the time if it is not the server's
    std::string_view keys{};            ///< of all decisions, as RESP arguments
    std::string_view units{};           ///< of each decision, one RESP argument
    std::size_t keys_each = 1;
    std::size_t values_each = 1;  ///< integers in one answer
    std::size_t decisions = 0;

    // What was answered: `values_each` integers for each decision; the first is `foreign` where a key is not ours.
    std::span<std::int64_t> values{};
    std::error_code error{};
    bool is_answered = false;

    detail::remote::Deadline::Clock::time_point deadline{};

    static constexpr std::int64_t foreign = -1;
    static constexpr std::int64_t max_value = std::int64_t{1} << 53;  // scripts answer with exact doubles

    /// Both may be answered by one run of one script.
    bool joins(const Call& other) const noexcept {
        return scripts != nullptr && scripts == other.scripts &&
               (common == other.common || common->bytes == other.common->bytes);
    }

    void fail(std::error_code why) noexcept {
        error = why;
        is_answered = true;
    }

    /// Takes this call's answers off the front of `from`; false if they do not fit what was asked.
    bool take(std::span<const std::int64_t>& from) noexcept {
        for (std::size_t i = 0; i != decisions; ++i) {
            if (from.empty()) return false;
            const std::size_t count = from.front() == foreign ? 1 : values_each;
            if (from.size() < count) return false;
            const auto answer = from.first(count);
            if (count != 1 || answer.front() != foreign) {
                const auto is_wrong = [](std::int64_t value) { return value < 0 || value > max_value; };
                if (std::any_of(answer.begin(), answer.end(), is_wrong)) return false;
            }
            std::copy(answer.begin(), answer.end(), values.begin() + static_cast<std::ptrdiff_t>(i * values_each));
            from = from.subspan(count);
        }
        is_answered = true;
        return true;
    }
};

}  // namespace sluice::redis

#endif
