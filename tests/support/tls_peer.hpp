// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_SUPPORT_TLS_PEER_HPP
#define SLUICE_TESTS_SUPPORT_TLS_PEER_HPP

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include <openssl/bio.h>
#include <openssl/ssl.h>

#include "support/certificates.hpp"

/// The server's side of TLS connections, without sockets.
class TlsServer {
public:
    explicit TlsServer(const Certificates& files, const std::string& name = "server", bool wants_client = false,
                       int version = TLS1_3_VERSION)
        : context_(SSL_CTX_new(TLS_server_method()), SSL_CTX_free) {
        SSL_CTX* const context = context_.get();
        static const unsigned char id[] = {'t'};
        const bool works =
            SSL_CTX_use_certificate_file(context, files.file(name + ".pem").c_str(), SSL_FILETYPE_PEM) == 1 &&
            SSL_CTX_use_PrivateKey_file(context, files.file(name + ".key").c_str(), SSL_FILETYPE_PEM) == 1 &&
            SSL_CTX_load_verify_locations(context, files.ca().c_str(), nullptr) == 1 &&
            SSL_CTX_set_session_id_context(context, id, sizeof id) == 1 &&
            SSL_CTX_set_max_proto_version(context, version) == 1 && SSL_CTX_set_min_proto_version(context, 0) == 1;
        if (!works) throw std::runtime_error{"the TLS server cannot use its files"};
        SSL_CTX_set_security_level(context, 0);
        if (wants_client) SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    }
    SSL_CTX* get() const noexcept { return context_.get(); }

private:
    std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context_;
};

class TlsPeer {
public:
    explicit TlsPeer(const TlsServer& server) : ssl_(SSL_new(server.get()), SSL_free) {
        SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
        SSL_set_accept_state(ssl_.get());
    }
    SSL* get() const noexcept { return ssl_.get(); }

    /// What arrives in plain text.
    std::string read() {
        std::array<char, 4'096> buffer;
        const int count = SSL_read(ssl_.get(), buffer.data(), static_cast<int>(buffer.size()));
        return {buffer.data(), static_cast<std::size_t>(std::max(0, count))};
    }
    bool write(std::string_view text) {
        return SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size())) == static_cast<int>(text.size());
    }

    void feed(std::string_view wire) {
        BIO_write(SSL_get_rbio(ssl_.get()), wire.data(), static_cast<int>(wire.size()));
    }
    std::string output() {
        char* bytes = nullptr;
        const long size = BIO_get_mem_data(SSL_get_wbio(ssl_.get()), &bytes);
        std::string all{bytes, static_cast<std::size_t>(size)};
        BIO_reset(SSL_get_wbio(ssl_.get()));
        return all;
    }

private:
    std::unique_ptr<SSL, void (*)(SSL*)> ssl_;
};

#endif
