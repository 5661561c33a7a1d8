// SPDX-License-Identifier: MIT
#ifndef SLUICE_TLS_DETAIL_CHANNEL_HPP
#define SLUICE_TLS_DETAIL_CHANNEL_HPP

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cstddef>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <sluice/error.hpp>
#include <sluice/remote/channel.hpp>
#include <sluice/tls/detail/context.hpp>
#include <sluice/tls/detail/errors.hpp>

namespace sluice::detail::tls {

/// The client's side of a TLS connection, between two memory buffers of 17 KiB.
class Channel final : public remote::Channel {
public:
    /// `host` is a name or a numeric address. Throws std::bad_alloc.
    Channel(Context& context, std::string host)
        : context_(context), host_(std::move(host)), ssl_(SSL_new(context.get())) {
        BIO* inner = nullptr;
        BIO* outer = nullptr;
        if (!ssl_ || BIO_new_bio_pair(&inner, 0, &outer, 0) != 1) throw std::bad_alloc{};
        wire_.reset(outer);
        SSL_set_bio(ssl_.get(), inner, inner);  // owns it from here on
        SSL_set_connect_state(ssl_.get());
        if (!expect_host() || !Context::set_host(ssl_.get(), host_)) throw std::bad_alloc{};
        if (const auto session = context_.take_session(host_)) SSL_set_session(ssl_.get(), session.get());
    }

    std::string_view output() noexcept override {
        char* bytes = nullptr;
        const int count = BIO_nread0(wire_.get(), &bytes);
        return {bytes, static_cast<std::size_t>(std::max(0, count))};
    }
    void sent(std::size_t count) noexcept override {
        char* bytes = nullptr;
        BIO_nread(wire_.get(), &bytes, static_cast<int>(count));
    }
    std::span<char> room() noexcept override {
        char* bytes = nullptr;
        const int count = BIO_nwrite0(wire_.get(), &bytes);
        return {bytes, static_cast<std::size_t>(std::max(0, count))};
    }
    void received(std::size_t count) noexcept override {
        if (count == 0) return;
        char* bytes = nullptr;
        BIO_nwrite(wire_.get(), &bytes, static_cast<int>(count));
        if (!has_heard_ && !is_record(bytes[0])) fail(Errc::misconfigured);
        has_heard_ = true;
    }

    Status handshake() noexcept override {
        return attempt([&](std::size_t&) { return SSL_do_handshake(ssl_.get()); }).status;
    }
    Result read(std::span<char> buffer) noexcept override {
        return attempt(
            [&](std::size_t& count) { return SSL_read_ex(ssl_.get(), buffer.data(), buffer.size(), &count); });
    }
    Result write(std::string_view bytes) noexcept override {
        return attempt(
            [&](std::size_t& count) { return SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &count); });
    }
    void finish() noexcept override {
        if (is_closed_ || SSL_is_init_finished(ssl_.get()) != 1) return;
        SSL_shutdown(ssl_.get());
        ERR_clear_error();
        is_closed_ = true;
    }
    std::error_code failure() const noexcept override { return failure_; }

    /// Whether an earlier connection's session saved half of the handshake.
    bool is_resumed() const noexcept { return SSL_session_reused(ssl_.get()) == 1; }

private:
    /// The first byte of a server that speaks TLS: a handshake, or an alert.
    static bool is_record(char byte) noexcept { return byte == 0x16 || byte == 0x15; }

    bool expect_host() noexcept {
        unsigned char address[16];
        SSL* const ssl = ssl_.get();
        if (inet_pton(AF_INET, host_.c_str(), address) == 1 || inet_pton(AF_INET6, host_.c_str(), address) == 1)
            return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host_.c_str()) == 1;
        SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        return SSL_set1_host(ssl, host_.c_str()) == 1 && SSL_set_tlsext_host_name(ssl, host_.c_str()) == 1;
    }

    template <class Action>
    Result attempt(Action action) noexcept {
        if (is_closed_) return {Status::closed};
        ERR_clear_error();
        std::size_t count = 0;
        const int result = action(count);
        if (result == 1) return {Status::done, count};
        switch (SSL_get_error(ssl_.get(), result)) {
            case SSL_ERROR_WANT_READ: return {Status::wants_read};
            case SSL_ERROR_WANT_WRITE: return {Status::wants_write};
            case SSL_ERROR_SSL: fail(reason_of(*ssl_, context_.has_certificate())); break;
            default: fail(Errc::disconnected); break;  // with or without a farewell
        }
        ERR_clear_error();
        return {Status::closed};
    }
    void fail(Errc why) noexcept {
        failure_ = why;
        is_closed_ = true;
    }

    Context& context_;
    const std::string host_;
    Owner<SSL> ssl_;
    Owner<BIO> wire_{};
    bool has_heard_ = false;
    bool is_closed_ = false;
    Errc failure_ = Errc::disconnected;
};

}  // namespace sluice::detail::tls

#endif
