// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_WIRE_HIREDIS_READER_HPP
#define SLUICE_REDIS_WIRE_HIREDIS_READER_HPP

#include <hiredis/read.h>

#include <cstddef>
#include <memory>
#include <new>
#include <string_view>

namespace sluice::detail::redis {

/// How many arrays a part of a reply lies in.
inline int depth(const redisReadTask* task) noexcept {
    int count = 0;
    for (const auto* parent = task->parent; parent != nullptr; parent = parent->parent) ++count;
    return count;
}

/// hiredis' parser without its tree: calls static functions of Parser for each part of a reply, from the outside to the inside.
///
///     static void* on_string(const redisReadTask*, char*, std::size_t) noexcept;   // also of errors and statuses
///     template <class Size>                              // an int in hiredis 0.14 and a size_t since 1.0
///     static void* on_array(const redisReadTask*, Size) noexcept;
///     static void* on_integer(const redisReadTask*, long long) noexcept;
///     static void* on_nil(const redisReadTask*) noexcept;
///
/// They find `data` in the task's privdata. A null pointer makes hiredis stop with an error; no exception may cross its
/// frames. The types that only RESP3 has have no function: replies of theirs parse, into something else than `data`.
template <class Parser>
class HiredisReader {
public:
    explicit HiredisReader(void* data) : reader_(redisReaderCreateWithFunctions(functions())) {
        if (!reader_) throw std::bad_alloc{};
        reader_->privdata = data;
    }

    /// False where one reply has more than Parser::max_bytes, or there is no memory.
    bool feed(std::string_view bytes) noexcept {
        fed_ += bytes.size();
        return fed_ <= Parser::max_bytes && redisReaderFeed(reader_.get(), bytes.data(), bytes.size()) == REDIS_OK;
    }

    /// False where what arrived is no reply. `parsed` is what the outermost function returned, or null where the reply has
    /// not arrived in full.
    bool next(void*& parsed) noexcept {
        parsed = nullptr;
        if (redisReaderGetReply(reader_.get(), &parsed) != REDIS_OK) return false;
        if (parsed != nullptr) fed_ = 0;
        return true;
    }

    /// Nothing has arrived beyond the replies that were taken.
    bool is_drained() const noexcept { return reader_->pos == reader_->len; }

private:
    struct Free {
        void operator()(redisReader* reader) const noexcept { redisReaderFree(reader); }
    };

    static void on_free(void*) noexcept {}

    static redisReplyObjectFunctions* functions() noexcept {
        static constinit redisReplyObjectFunctions table = [] {
            redisReplyObjectFunctions made{};
            made.createString = Parser::on_string;
            made.createArray = Parser::on_array;
            made.createInteger = Parser::on_integer;
            made.createNil = Parser::on_nil;
            made.freeObject = on_free;
            return made;
        }();
        return &table;
    }

    std::size_t fed_ = 0;
    std::unique_ptr<redisReader, Free> reader_;
};

}  // namespace sluice::detail::redis

#endif
