// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_CLIENT_CONFIG_HPP
#define SLUICE_REDIS_LINK_CLIENT_CONFIG_HPP

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <sluice/detail/validate.hpp>
#include <sluice/redis/redis_options.hpp>
#include <sluice/redis/redis_stats.hpp>
#include <sluice/redis/redis_url.hpp>

namespace sluice::detail::redis {

/// What all parts of a client share: what the user wants, and what is counted.
struct ClientConfig {
    RedisUrl url{};
    RedisOptions options{};
    Counters counters{};

    ClientConfig() = default;

    /// Throws std::invalid_argument for a bad URL or bad options, and where they do not agree.
    ClientConfig(std::string_view text, RedisOptions wanted) : url(RedisUrl::parse(text)), options(std::move(wanted)) {
        if (url.uses_tls && !options.tls)
            throw std::invalid_argument(
                "sluice: rediss:// needs RedisOptions::tls: include <sluice/tls.hpp>, link sluice::tls and say "
                "{.tls = sluice::Tls{}}");
        if (!url.uses_tls && options.tls)
            throw std::invalid_argument(
                "sluice: RedisOptions::tls needs a URL that begins with rediss: by this one nothing would be "
                "encrypted");
        if (url.kind != RedisUrl::Kind::sentinel && (options.sentinel.tls || options.sentinel.credentials))
            throw std::invalid_argument(
                "sluice: RedisOptions::sentinel needs a URL that begins with redis+sentinel:// or "
                "rediss+sentinel://");
        const std::string& prefix = options.checked().prefix;
        const auto brace = prefix.find('{');
        if (is_cluster() && brace != std::string::npos && prefix.compare(brace, 2, "{}") == 0)
            throw_invalid("RedisOptions::prefix", '"' + prefix + '"',
                          "without {} for a cluster: it would part keys that belong together");
    }

    bool is_cluster() const noexcept { return url.kind == RedisUrl::Kind::cluster; }
};

}  // namespace sluice::detail::redis

#endif
