// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_CONNECTION_HPP
#define SLUICE_REDIS_LINK_CONNECTION_HPP

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/remote/address.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/remote/stream.hpp>
#include <sluice/redis/wire/resp.hpp>
#include <sluice/redis/wire/errors.hpp>
#include <sluice/redis/wire/reply.hpp>
#include <sluice/redis/redis_url.hpp>

namespace sluice::redis {

/// One connection to the server: dialled when needed, given up at the first error. A connection on which something went
/// wrong is never used again, so that a reply that comes late is never taken for another request's. One thread
/// at a time; may throw std::bad_alloc, after which close() has to be called.
class Connection {
public:
    bool is_open() const noexcept { return socket_.is_open(); }
    void close() noexcept { socket_.close(); }
    /// While idle the server has closed it, or said something.
    bool is_stale() const noexcept { return socket_.is_stale(); }

    /// Dials, logs in and chooses the database.
    std::error_code open(const RedisUrl& url, detail::remote::AddressBook& book, const detail::remote::Deadline& deadline) {
        close();
        if (const auto error = book.find(addresses_, deadline)) return error;
        if (const auto error = socket_.connect(addresses_, deadline)) {
            book.forget();
            return error;
        }
        reader_.emplace();
        std::string hello;
        int replies = 0;
        if (!url.password.empty()) {
            append_head(hello, url.user.empty() ? 2 : 3);
            append_argument(hello, std::string_view{"AUTH"});
            if (!url.user.empty()) append_argument(hello, url.user);
            append_argument(hello, url.password);
            ++replies;
        }
        if (url.database != 0) {
            append_head(hello, 2);
            append_argument(hello, std::string_view{"SELECT"});
            append_argument(hello, url.database);
            ++replies;
        }
        std::size_t sent = 0;
        if (const auto error = send(hello, deadline, sent)) return error;
        for (; replies != 0; --replies) {
            const Reply* reply = nullptr;
            if (const auto error = receive(reply, deadline)) return error;
            if (reply->kind == Reply::Kind::error) {
                const Errc errc = classify(reply->text);
                close();
                return errc;
            }
        }
        return {};
    }

    std::error_code send(std::string_view bytes, const detail::remote::Deadline& deadline, std::size_t& sent) noexcept {
        const auto error = socket_.send(bytes, deadline, sent);
        if (error) close();
        return error;
    }

    /// The next reply, valid until the next call.
    std::error_code receive(const Reply*& reply, const detail::remote::Deadline& deadline) {
        for (;;) {
            auto error = reader_->next(reply);
            if (!error && reply != nullptr) return {};
            std::size_t received = 0;
            if (!error) error = socket_.receive(buffer_, deadline, received);
            if (!error) error = reader_->feed({buffer_.data(), received});
            if (error) {
                close();
                return error;
            }
        }
    }

    /// True if nothing is left over after all replies were taken.
    bool is_drained() const noexcept { return reader_->is_drained(); }

private:
    detail::remote::Socket socket_;
    std::optional<ReplyReader> reader_;
    std::vector<detail::remote::Address> addresses_;
    std::array<char, 16'384> buffer_;
};

}  // namespace sluice::redis

#endif
