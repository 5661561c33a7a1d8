// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_WIRE_LOGIN_HPP
#define SLUICE_REDIS_WIRE_LOGIN_HPP

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>

#include <sluice/error.hpp>
#include <sluice/redis/redis_credentials.hpp>
#include <sluice/redis/wire/errors.hpp>
#include <sluice/redis/wire/exchange.hpp>
#include <sluice/redis/wire/reply.hpp>
#include <sluice/redis/wire/resp.hpp>

namespace sluice::detail::redis {

/// What is said on a new connection before the first call: who asks, and of which database. Used as an Exchange.
class Login {
public:
    using Want = Exchange::Want;

    Login(const RedisCredentials& who, std::uint32_t database) {
        if (!who.user.empty() || !who.password.empty()) {
            append_head(output_, who.user.empty() ? 2 : 3);
            append_argument(output_, std::string_view{"AUTH"});
            if (!who.user.empty()) append_argument(output_, who.user);
            append_argument(output_, who.password);
            ++replies_;
        }
        if (database != 0) {
            append_head(output_, 2);
            append_argument(output_, std::string_view{"SELECT"});
            append_argument(output_, database);
            ++replies_;
        }
    }

    Want want() const noexcept {
        if (sent_ != output_.size()) return Want::send;
        return replies_ == 0 ? Want::done : Want::receive;
    }
    std::string_view output() const noexcept { return std::string_view{output_}.substr(sent_); }
    void sent(std::size_t count) noexcept { sent_ += count; }

    /// An error means that the connection is of no use.
    std::error_code feed(std::string_view bytes) {
        if (is_tls_record(bytes)) return Errc::misconfigured;
        if (const auto error = reader_.feed(bytes)) return error;
        while (replies_ != 0) {
            const Reply* reply = nullptr;
            if (const auto error = reader_.next(reply)) return error;
            if (reply == nullptr) return {};
            if (reply->kind == Reply::Kind::error) return classify(reply->text).code;
            if (reply->kind != Reply::Kind::status) return Errc::protocol;
            --replies_;
        }
        return reader_.is_drained() ? std::error_code{} : make_error_code(Errc::protocol);
    }

private:
    std::string output_;
    std::size_t sent_ = 0;
    std::size_t replies_ = 0;
    ReplyReader reader_;
};

}  // namespace sluice::detail::redis

#endif
