// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_DETAIL_UNREAD_BODY_HPP
#define SLUICE_HTTP_DETAIL_UNREAD_BODY_HPP

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include <sluice/http/detail/text.hpp>

// The body of a request that cpp-httplib has denied before it was read. The connection must end with that answer: what
// is left of the body would be taken for the next request, and whoever shares a connection through a proxy could have
// another's request answered with one of his own making.
namespace sluice::http::detail {

/// Whether bytes of the request may be left when its headers have been read. Not so only where there is one
/// "Content-Length: 0", or no length and a method that has no body by custom. A header whose name is no token
/// ("Content-Length : 42") may be a length to whoever sent it.
template <class Request>
bool may_have_body(const Request& request) noexcept {
    bool has_length = false;
    for (const auto& [name, value] : request.headers) {
        if (!std::all_of(name.begin(), name.end(), is_token_char)) return true;
        if (equals_ignoring_case(name, "Transfer-Encoding")) return true;
        if (!equals_ignoring_case(name, "Content-Length")) continue;
        if (has_length || value != "0") return true;
        has_length = true;
    }
    const auto& method = request.method;
    return !has_length && method != "GET" && method != "HEAD" && method != "OPTIONS" && method != "DELETE";
}

/// Whether cpp-httplib, all versions of it, can read the request's body to its end: one length in digits, or chunks.
template <class Request>
bool has_readable_body(const Request& request) {
    const auto lengths = request.get_header_value_count("Content-Length");
    const auto codings = request.get_header_value_count("Transfer-Encoding");
    if (lengths + codings != 1) return false;
    if (codings == 1) return request.method != "DELETE" && request.get_header_value("Transfer-Encoding") == "chunked";
    const std::string length = request.get_header_value("Content-Length");
    return !length.empty() && length.size() < 19 && length.find_first_not_of("0123456789") == std::string::npos;
}

/// Reads the body and forgets it. False where it is longer than `most`, takes longer than `time` or cannot be read, so
/// that the connection has to be closed.
template <class Request, class Reader>
bool drain(const Request& request, const Reader& reader, std::uint64_t most, std::chrono::nanoseconds time) noexcept {
    try {
        if (!has_readable_body(request)) return false;
        const std::string length = request.get_header_value("Content-Length");
        if (!length.empty() && std::stoull(length) > most) return false;
        const auto deadline = std::chrono::steady_clock::now() + time;
        std::uint64_t seen = 0;
        const auto is_within = [&](std::uint64_t size) {
            seen += size;
            return seen <= most && std::chrono::steady_clock::now() <= deadline;
        };
        const auto receive = [&](const char*, std::size_t size) { return is_within(size); };
        if (!request.is_multipart_form_data()) return reader(receive);
        return reader([&](const auto&) { return is_within(64); }, receive);  // 64: so many parts end, too
    } catch (...) {
        return false;
    }
}

/// The connection that this thread serves, if an answer may have left it open before its body was read. cpp-httplib
/// serves a connection's requests by one thread, one after the other: what comes next on it is no request.
class LeftOpen {
public:
    static LeftOpen& of_this_thread() noexcept {
        thread_local constinit LeftOpen state;
        return state;
    }

    template <class Request>
    void remember(const Request& request) noexcept {
        size_ = std::min(request.remote_addr.size(), address_.size());
        std::memcpy(address_.data(), request.remote_addr.data(), size_);
        port_ = request.remote_port;
        is_set_ = true;
    }
    void forget() noexcept { is_set_ = false; }

    template <class Request>
    bool is_of(const Request& request) const noexcept {
        return is_set_ && port_ == request.remote_port &&
               std::string_view{address_.data(), size_} ==
                   std::string_view{request.remote_addr}.substr(0, address_.size());
    }

private:
    std::array<char, 64> address_{};
    std::size_t size_ = 0;
    int port_ = 0;
    bool is_set_ = false;
};

/// A content provider that writes an answer and then fails, by which every version of cpp-httplib closes the
/// connection. A header "Connection: close" in the answer is not enough for most.
struct ClosingProvider {
    std::shared_ptr<const std::string> content;
    bool is_head = false;

    template <class Sink>
    bool operator()(std::size_t offset, std::size_t length, Sink& sink) const {
        LeftOpen::of_this_thread().forget();
        if (!is_head && length > 0) sink.write(content->data() + offset, std::min(length, content->size() - offset));
        return false;
    }
    template <class Sink>
    bool operator()(std::size_t, Sink& sink) const {
        return (*this)(0, content->size(), sink);
    }
};

}  // namespace sluice::http::detail

#endif
