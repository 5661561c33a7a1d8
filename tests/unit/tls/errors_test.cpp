// SPDX-License-Identifier: MIT

#include <sluice/tls.hpp>

#include "support/catch.hpp"

using sluice::Errc;
namespace tls = sluice::detail::tls;

TEST_CASE("why a server's certificate was not accepted") {
    CHECK(tls::reason_of_verification(X509_V_ERR_CERT_HAS_EXPIRED) == Errc::certificate_expired);
    CHECK(tls::reason_of_verification(X509_V_ERR_CERT_NOT_YET_VALID) == Errc::certificate_expired);
    CHECK(tls::reason_of_verification(X509_V_ERR_HOSTNAME_MISMATCH) == Errc::certificate_mismatch);
    CHECK(tls::reason_of_verification(X509_V_ERR_IP_ADDRESS_MISMATCH) == Errc::certificate_mismatch);
    CHECK(tls::reason_of_verification(X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN) == Errc::certificate_untrusted);
    CHECK(tls::reason_of_verification(X509_V_ERR_CERT_REVOKED) == Errc::certificate_untrusted);
}

TEST_CASE("why a server ended the connection, by its alert") {
    for (const bool has_certificate : {false, true}) {
        for (const int alert : {SSL_AD_BAD_CERTIFICATE, SSL_AD_UNSUPPORTED_CERTIFICATE, SSL_AD_CERTIFICATE_REVOKED,
                                SSL_AD_CERTIFICATE_EXPIRED, SSL_AD_CERTIFICATE_UNKNOWN, SSL_AD_UNKNOWN_CA,
                                SSL_AD_ACCESS_DENIED, SSL_AD_CERTIFICATE_REQUIRED})
            CHECK(tls::reason_of_alert(alert, has_certificate) == Errc::authentication);
        CHECK(tls::reason_of_alert(SSL_AD_UNRECOGNIZED_NAME, has_certificate) == Errc::certificate_mismatch);
        for (const int alert : {SSL_AD_CLOSE_NOTIFY, SSL_AD_INTERNAL_ERROR, SSL_AD_USER_CANCELLED})
            CHECK(tls::reason_of_alert(alert, has_certificate) == Errc::disconnected);
        for (const int alert : {SSL_AD_UNEXPECTED_MESSAGE, SSL_AD_PROTOCOL_VERSION, SSL_AD_DECODE_ERROR, 255})
            CHECK(tls::reason_of_alert(alert, has_certificate) == Errc::protocol);
    }
    CHECK(tls::reason_of_alert(SSL_AD_HANDSHAKE_FAILURE, false) == Errc::authentication);
    CHECK(tls::reason_of_alert(SSL_AD_HANDSHAKE_FAILURE, true) == Errc::protocol);
}
