// SPDX-License-Identifier: MIT
#ifndef SLUICE_TLS_DETAIL_CONTEXT_HPP
#define SLUICE_TLS_DETAIL_CONTEXT_HPP

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include <sluice/tls/tls_options.hpp>

namespace sluice::detail::tls {

struct Free {
    void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
    void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
    void operator()(SSL_SESSION* session) const noexcept { SSL_SESSION_free(session); }
    void operator()(BIO* bio) const noexcept { BIO_free(bio); }
};
template <class T>
using Owner = std::unique_ptr<T, Free>;

/// What all connections of a process have in common: whom to trust, who we are, and the sessions of earlier connections.
/// Thread-safe.
class Context {
public:
    /// Reads the files. Throws std::invalid_argument, std::bad_alloc.
    explicit Context(const Tls& options) : options_(options), context_(SSL_CTX_new(TLS_client_method())) {
        if (!context_) throw std::bad_alloc{};
        SSL_CTX* const context = context_.get();
        SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
        SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
        SSL_CTX_set_mode(
            context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
        SSL_CTX_set_verify(context, options.dangerously_skip_verification ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, nullptr);
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(context, keep_session);
        if (SSL_CTX_set_app_data(context, this) != 1) throw std::bad_alloc{};
        load_authorities();
        load_certificate();
    }

    SSL_CTX* get() const noexcept { return context_.get(); }
    const Tls& options() const noexcept { return options_; }
    bool has_certificate() const noexcept { return !options_.certificate_file.empty(); }

    /// A session of an earlier connection to a host, to be used once; or null.
    Owner<SSL_SESSION> take_session(const std::string& host) {
        const std::lock_guard lock{mutex_};
        const auto found = sessions_.find(host);
        return found == sessions_.end() ? nullptr : std::move(found->second);
    }

    /// Of a connection to that host, which has to outlive it: so its sessions are kept.
    static bool set_host(SSL* ssl, const std::string& host) noexcept {
        return SSL_set_app_data(ssl, const_cast<std::string*>(&host)) == 1;
    }

    /// In a forked child: see PerProcess.
    void abandon() const noexcept {}

private:
    static constexpr std::size_t max_sessions = 256;

    /// The session is ours if 1 is returned. No exception may cross OpenSSL's frames.
    static int keep_session(SSL* ssl, SSL_SESSION* session) noexcept {
        Owner<SSL_SESSION> owner{session};
        auto& self = *static_cast<Context*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
        const auto& host = *static_cast<const std::string*>(SSL_get_app_data(ssl));
        const std::lock_guard lock{self.mutex_};
        try {
            if (self.sessions_.size() < max_sessions || self.sessions_.count(host) != 0)
                self.sessions_[host] = std::move(owner);
        } catch (...) {  // no memory: the next connection begins from scratch
        }
        return 1;
    }

    void load_authorities() {
        if (options_.ca_file.empty()) {
            if (SSL_CTX_set_default_verify_paths(context_.get()) != 1) fail("the system's authorities", {});
        } else if (SSL_CTX_load_verify_locations(context_.get(), options_.ca_file.c_str(), nullptr) != 1) {
            fail("Tls::ca_file", options_.ca_file);
        }
    }

    void load_certificate() {
        const std::string& certificate = options_.certificate_file;
        const std::string& key = options_.key_file.empty() ? certificate : options_.key_file;
        if (certificate.empty() && key.empty()) return;
        if (certificate.empty()) throw std::invalid_argument("sluice: Tls::key_file needs a Tls::certificate_file");
        // Else OpenSSL would ask for the password of an encrypted key on the terminal.
        SSL_CTX_set_default_passwd_cb(context_.get(), [](char*, int, int, void*) { return 0; });
        if (SSL_CTX_use_certificate_chain_file(context_.get(), certificate.c_str()) != 1)
            fail("Tls::certificate_file", certificate);
        if (SSL_CTX_use_PrivateKey_file(context_.get(), key.c_str(), SSL_FILETYPE_PEM) != 1 ||
            SSL_CTX_check_private_key(context_.get()) != 1)
            fail("Tls::key_file", key);
    }

    [[noreturn]] static void fail(const std::string& what, const std::string& file) {
        const auto error = ERR_peek_error();  // the first: what others followed from
        ERR_clear_error();
        const char* const reason = ERR_reason_error_string(error);
        throw std::invalid_argument(
            "sluice: " + what + (file.empty() ? "" : " \"" + file + "\"") + " cannot be used: " +
            (ERR_GET_LIB(error) == ERR_LIB_SYS ? std::generic_category().message(ERR_GET_REASON(error))
                                               : std::string{reason != nullptr ? reason : "unknown error"}));
    }

    const Tls options_;
    const Owner<SSL_CTX> context_;
    std::mutex mutex_{};
    std::map<std::string, Owner<SSL_SESSION>> sessions_{};
};

}  // namespace sluice::detail::tls

#endif
