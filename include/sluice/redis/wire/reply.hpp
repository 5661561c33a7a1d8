// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_WIRE_REPLY_HPP
#define SLUICE_REDIS_WIRE_REPLY_HPP

#include <hiredis/read.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/redis/wire/hiredis_reader.hpp>

namespace sluice::detail::redis {

/// A reply as our commands get it: integers (one, a flat array of them, or a text), a status, or an error.
struct Reply {
    enum class Kind { none, integers, status, error };
    Kind kind = Kind::none;
    std::vector<std::int64_t> integers{};
    std::string text{};  ///< of a status or an error, cut after max_text: longer than any MOVED

    static constexpr std::size_t max_text = 320;
};

/// Parses what a server sends with hiredis' reader, into a Reply instead of a tree, and refuses all that no reply to
/// us can be: nested arrays, texts other than integers between single spaces, too many elements, too many bytes. One
/// thread at a time; may throw std::bad_alloc, after which the connection is of no more use.
class ReplyReader {
public:
    static constexpr std::size_t max_bytes = 65'536;
    static constexpr std::size_t max_elements = 4'096;

    ReplyReader() : reader_(&reply_) {}
    ReplyReader(const ReplyReader&) = delete;
    ReplyReader& operator=(const ReplyReader&) = delete;

    /// Takes what arrived, at most 16 KiB at a time.
    std::error_code feed(std::string_view bytes) {
        return reader_.feed(bytes) ? std::error_code{} : make_error_code(Errc::protocol);
    }

    /// The next reply, valid until the next call; nullptr where it has not arrived in full.
    std::error_code next(const Reply*& reply) {
        if (is_complete_) reply_.integers.clear();
        void* parsed = nullptr;
        if (!reader_.next(parsed)) return Errc::protocol;
        if (parsed != nullptr && parsed != &reply_) return Errc::protocol;
        is_complete_ = parsed != nullptr;
        reply = is_complete_ ? &reply_ : nullptr;
        return {};
    }

    /// Nothing has arrived beyond the replies that were taken.
    bool is_drained() const noexcept { return reader_.is_drained() && is_complete_; }

private:
    friend class HiredisReader<ReplyReader>;

    static void* on_string(const redisReadTask* task, char* text, std::size_t size) noexcept {
        if (task->parent != nullptr) return nullptr;
        Reply& reply = *static_cast<Reply*>(task->privdata);
        try {
            if (task->type == REDIS_REPLY_STRING) return read_integers({text, size}, reply) ? &reply : nullptr;
            reply.text.assign(text, std::min(size, Reply::max_text));
        } catch (...) {
            return nullptr;
        }
        reply.kind = task->type == REDIS_REPLY_ERROR ? Reply::Kind::error : Reply::Kind::status;
        return &reply;
    }

    static bool read_integers(std::string_view text, Reply& reply) {
        const char* const end = text.data() + text.size();
        for (const char* at = text.data();; ++at) {
            std::int64_t value{};
            const auto [next, error] = std::from_chars(at, end, value);
            if (error != std::errc{} || reply.integers.size() == max_elements) return false;
            reply.integers.push_back(value);
            at = next;
            if (at == end) break;
            if (*at != ' ') return false;
        }
        reply.kind = Reply::Kind::integers;
        return true;
    }

    template <class Size>
    static void* on_array(const redisReadTask* task, Size elements) noexcept {
        if (task->parent != nullptr || task->type != REDIS_REPLY_ARRAY) return nullptr;
        if (static_cast<std::size_t>(elements) > max_elements) return nullptr;
        Reply& reply = *static_cast<Reply*>(task->privdata);
        reply.kind = Reply::Kind::integers;
        return &reply;
    }

    static void* on_integer(const redisReadTask* task, long long value) noexcept {
        Reply& reply = *static_cast<Reply*>(task->privdata);
        try {
            reply.integers.push_back(value);
        } catch (...) {
            return nullptr;
        }
        reply.kind = Reply::Kind::integers;
        return &reply;
    }

    static void* on_nil(const redisReadTask*) noexcept { return nullptr; }

    Reply reply_;
    bool is_complete_ = true;
    HiredisReader<ReplyReader> reader_;
};

}  // namespace sluice::detail::redis

#endif
