// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_CHECKED_URL_HPP
#define SLUICE_REDIS_LINK_CHECKED_URL_HPP

#include <stdexcept>
#include <string_view>

#include <sluice/redis/redis_options.hpp>
#include <sluice/redis/redis_url.hpp>

namespace sluice::detail::redis {

/// The URL in parts. Throws std::invalid_argument where it is bad, and where it and the options do not agree.
inline RedisUrl checked_url(std::string_view text, const RedisOptions& options) {
    RedisUrl url = RedisUrl::parse(text);
    if (url.uses_tls && !options.tls)
        throw std::invalid_argument(
            "sluice: rediss:// needs RedisOptions::tls: include <sluice/tls.hpp>, link sluice::tls and say "
            "{.tls = sluice::Tls{}}");
    if (!url.uses_tls && options.tls)
        throw std::invalid_argument(
            "sluice: RedisOptions::tls needs a URL that begins with rediss: by this one nothing would be encrypted");
    if (url.kind != RedisUrl::Kind::sentinel && (options.sentinel.tls || options.sentinel.credentials))
        throw std::invalid_argument(
            "sluice: RedisOptions::sentinel needs a URL that begins with redis+sentinel:// or "
            "rediss+sentinel://");
    return url;
}

}  // namespace sluice::detail::redis

#endif
