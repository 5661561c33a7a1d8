// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_WIRE_TEXT_QUERY_HPP
#define SLUICE_REDIS_WIRE_TEXT_QUERY_HPP

#include <hiredis/read.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <sluice/detail/is_number.hpp>
#include <sluice/error.hpp>
#include <sluice/redis/wire/errors.hpp>
#include <sluice/redis/wire/exchange.hpp>
#include <sluice/redis/wire/hiredis_reader.hpp>
#include <sluice/redis/wire/host_port.hpp>
#include <sluice/redis/wire/resp.hpp>

namespace sluice::detail::redis {

/// A question whose answer is a list that begins with texts, as ROLE and SENTINEL GET-MASTER-ADDR-BY-NAME are answered.
/// Used as a Login.
class TextQuery {
public:
    using Want = Exchange::Want;

    static constexpr std::size_t max_bytes = 65'536;
    static constexpr std::size_t max_elements = 1'024;
    static constexpr std::size_t max_texts = 8;
    static constexpr std::size_t max_text = 256;

    explicit TextQuery(std::initializer_list<std::string_view> words) : reader_(this) {
        append_head(output_, words.size());
        for (const auto word : words) append_argument(output_, word);
    }
    TextQuery(const TextQuery&) = delete;
    TextQuery& operator=(const TextQuery&) = delete;

    Want want() const noexcept {
        if (sent_ != output_.size()) return Want::send;
        return is_complete_ ? Want::done : Want::receive;
    }
    std::string_view output() const noexcept { return std::string_view{output_}.substr(sent_); }
    void sent(std::size_t count) noexcept { sent_ += count; }

    /// An error means that the connection is of no use.
    std::error_code feed(std::string_view bytes) {
        void* parsed = nullptr;
        if (!reader_.feed(bytes) || !reader_.next(parsed)) return Errc::protocol;
        if (parsed == nullptr) return {};
        if (parsed != this || !reader_.is_drained()) return Errc::protocol;
        is_complete_ = true;
        return error_line_.empty() ? std::error_code{} : make_error_code(classify(error_line_).code);
    }

    /// At the beginning of the list, cut to max_text; none where there is no list (nil).
    std::span<const std::string> texts() const noexcept { return texts_; }

private:
    friend class HiredisReader<TextQuery>;

    static TextQuery& self(const redisReadTask* task) noexcept { return *static_cast<TextQuery*>(task->privdata); }

    template <class Size>
    static void* on_array(const redisReadTask* task, Size elements) noexcept {
        const bool fits = depth(task) < 3 && static_cast<std::size_t>(elements) <= max_elements;
        return fits && task->type == REDIS_REPLY_ARRAY ? &self(task) : nullptr;
    }
    static void* on_integer(const redisReadTask* task, long long) noexcept {
        return task->parent != nullptr ? &self(task) : nullptr;
    }
    static void* on_nil(const redisReadTask* task) noexcept { return &self(task); }
    static void* on_string(const redisReadTask* task, char* text, std::size_t size) noexcept {
        const bool is_error = task->parent == nullptr && task->type == REDIS_REPLY_ERROR;
        if (!is_error && task->parent == nullptr) return nullptr;
        try {
            self(task).take(is_error, depth(task), {text, std::min(size, max_text)});
        } catch (...) {
            return nullptr;
        }
        return &self(task);
    }

    void take(bool is_error, int level, std::string_view text) {
        if (is_error) {
            error_line_ = text.empty() ? "ERR" : text;
        } else if (level == 1 && texts_.size() < max_texts) {
            texts_.emplace_back(text);
        }
    }

    std::string output_;
    std::size_t sent_ = 0;
    bool is_complete_ = false;
    std::string error_line_{};
    std::vector<std::string> texts_{};
    HiredisReader<TextQuery> reader_;
};

/// Asks a sentinel where a master is. Used as a Login.
class MasterQuery : public TextQuery {
public:
    explicit MasterQuery(std::string_view name) : TextQuery({"SENTINEL", "GET-MASTER-ADDR-BY-NAME", name}) {}

    /// Once it is done. Errc::misconfigured: the sentinel knows no master of that name.
    std::error_code result(HostPort& master) const {
        if (texts().empty()) return Errc::misconfigured;
        if (texts().size() != 2 || texts()[0].empty() || texts()[0].size() > HostPort::max_host) return Errc::protocol;
        std::uint16_t port{};
        if (!is_number(texts()[1], port) || port == 0) return Errc::protocol;
        master = {texts()[0], port};
        return {};
    }
};

/// Asks a server what it is. Used as a Login.
class RoleQuery : public TextQuery {
public:
    RoleQuery() : TextQuery({"ROLE"}) {}

    /// Once it is done. Errc::read_only: it is no master.
    std::error_code result() const {
        if (texts().empty()) return Errc::protocol;
        return texts()[0] == "master" ? std::error_code{} : make_error_code(Errc::read_only);
    }
};

}  // namespace sluice::detail::redis

#endif
