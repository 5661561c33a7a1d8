// SPDX-License-Identifier: MIT
#ifndef SLUICE_TLS_HPP
#define SLUICE_TLS_HPP

// TLS for RedisStore, beside <sluice/redis.hpp>. Needs OpenSSL 1.1.1 or later.

#include <sluice/detail/cpp20.hpp>

#include <openssl/opensslv.h>

#if OPENSSL_VERSION_NUMBER < 0x10101000L
#error "sluice::tls needs OpenSSL 1.1.1 or later."
#endif

#include <sluice/tls/detail/factory.hpp>
#include <sluice/tls/tls_options.hpp>

#endif
