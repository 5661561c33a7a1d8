// SPDX-License-Identifier: MIT
#ifndef SLUICE_TLS_DETAIL_ERRORS_HPP
#define SLUICE_TLS_DETAIL_ERRORS_HPP

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <sluice/error.hpp>

namespace sluice::detail::tls {

/// Why OpenSSL did not accept the server's certificate.
inline Errc reason_of_verification(long result) noexcept {
    switch (result) {
        case X509_V_ERR_CERT_HAS_EXPIRED:
        case X509_V_ERR_CERT_NOT_YET_VALID: return Errc::certificate_expired;
        case X509_V_ERR_HOSTNAME_MISMATCH:
        case X509_V_ERR_IP_ADDRESS_MISMATCH: return Errc::certificate_mismatch;
        default: return Errc::certificate_untrusted;
    }
}

/// Why the server ended the connection, by the alert that it sent (RFC 8446, section 6.2).
inline Errc reason_of_alert(int alert, bool has_certificate) noexcept {
    switch (alert) {
        case SSL_AD_BAD_CERTIFICATE:
        case SSL_AD_UNSUPPORTED_CERTIFICATE:
        case SSL_AD_CERTIFICATE_REVOKED:
        case SSL_AD_CERTIFICATE_EXPIRED:
        case SSL_AD_CERTIFICATE_UNKNOWN:
        case SSL_AD_UNKNOWN_CA:
        case SSL_AD_ACCESS_DENIED:
        case SSL_AD_CERTIFICATE_REQUIRED: return Errc::authentication;
        // So TLS 1.2 tells that it wants a certificate, among other things.
        case SSL_AD_HANDSHAKE_FAILURE: return has_certificate ? Errc::protocol : Errc::authentication;
        case SSL_AD_UNRECOGNIZED_NAME: return Errc::certificate_mismatch;
        case SSL_AD_CLOSE_NOTIFY:
        case SSL_AD_INTERNAL_ERROR:
        case SSL_AD_USER_CANCELLED: return Errc::disconnected;
        default: return Errc::protocol;
    }
}

/// After SSL_ERROR_SSL, from this thread's queue of errors.
inline Errc reason_of(const SSL& ssl, bool has_certificate) noexcept {
    const auto error = ERR_peek_error();
    const int reason = ERR_GET_REASON(error);
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED) return reason_of_verification(SSL_get_verify_result(&ssl));
    if (reason == ERR_R_MALLOC_FAILURE) return Errc::no_memory;
    return reason_of_alert(reason - SSL_AD_REASON_OFFSET, has_certificate);  // Errc::protocol where it is no alert
}

}  // namespace sluice::detail::tls

#endif
