// SPDX-License-Identifier: MIT
#ifndef SLUICE_TLS_TLS_OPTIONS_HPP
#define SLUICE_TLS_TLS_OPTIONS_HPP

#include <memory>
#include <string>

#include <sluice/remote/channel.hpp>

namespace sluice {

/// TLS 1.2 or later for connections to a server, by OpenSSL 1.1.1 or later:
///
///     sluice::RedisStore redis{"rediss://redis.internal", {.tls = sluice::Tls{.ca_file = "/etc/redis/ca.pem"}}};
///
/// The server's certificate must be of a trusted authority, valid now, and for the host name or IP address that was
/// dialled (a whole label may be a wildcard), else decisions fail with Errc::certificate_untrusted, certificate_expired or
/// certificate_mismatch, as by a server that is away: the limiter's FailureMode decides. Errc::authentication: the server
/// does not accept our certificate, or the lack of one. Errc::misconfigured: what answers does not speak TLS; a Redis
/// server that does not is silent, though: Errc::timeout.
///
/// Files are in PEM form. They are read once by each process: here, and by a forked child when it first dials.
struct Tls {
    std::string ca_file{};           ///< authorities to trust; empty: those that the system trusts
    std::string certificate_file{};  ///< ours, and those between it and its authority; empty: none
    std::string key_file{};          ///< of our certificate, not encrypted; empty: in the same file
    /// What the certificate must be for, and is asked for (SNI), instead of the host dialled: where sentinels and clusters
    /// tell addresses, but the certificates hold a common name.
    std::string server_name{};
    /// Encrypts, but talks to anybody who answers, as tests may: whoever is in between can read and change everything.
    bool dangerously_skip_verification = false;

    /// For RedisOptions::tls. Throws std::invalid_argument with the file's name where one cannot be used, std::bad_alloc.
    operator std::shared_ptr<const detail::remote::ChannelFactory>() const;  // defined in <sluice/tls.hpp>
};

}  // namespace sluice

#endif
