// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_SUPPORT_RAW_CLIENT_HPP
#define SLUICE_TESTS_SUPPORT_RAW_CLIENT_HPP

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

struct RawResponse {
    int status = 0;
    std::string head, body;

    /// The value of a header, "" if there is none.
    std::string header(std::string name) const {
        const auto lower = [](std::string text) {
            std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
            return text;
        };
        const auto at = lower(head).find("\r\n" + lower(name) + ": ");
        if (at == std::string::npos) return {};
        const auto start = at + name.size() + 4;
        return head.substr(start, head.find("\r\n", start) - start);
    }
};

/// One TCP connection to 127.0.0.1, on which a test sends exactly the bytes it wants. Reads wait ten seconds at most.
class RawClient {
public:
    explicit RawClient(int port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
        const timeval patience{10, 0};
        ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<std::uint16_t>(port));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
            ::close(socket_);
            throw std::runtime_error{"cannot connect to port " + std::to_string(port)};
        }
    }
    ~RawClient() { ::close(socket_); }
    RawClient(const RawClient&) = delete;
    RawClient& operator=(const RawClient&) = delete;

    void send(std::string_view bytes) {
        while (!bytes.empty()) {
            const auto sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (sent <= 0) return;  // the server has closed, which the next read tells
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        }
    }

    /// The next response, or nothing where the server closes (or says nothing for ten seconds).
    std::optional<RawResponse> read(bool is_head = false) {
        auto end = buffer_.find("\r\n\r\n");
        for (; end == std::string::npos; end = buffer_.find("\r\n\r\n")) {
            if (!more()) return std::nullopt;
        }
        RawResponse response;
        response.head = buffer_.substr(0, end + 2);
        buffer_.erase(0, end + 4);
        response.status = std::stoi(response.head.substr(9, 3));
        const auto length = response.header("Content-Length");
        const std::size_t size = is_head || length.empty() || response.status < 200 ? 0 : std::stoul(length);
        while (buffer_.size() < size) {
            if (!more()) return std::nullopt;
        }
        response.body = buffer_.substr(0, size);
        buffer_.erase(0, size);
        return response;
    }

    /// Sends a request and reads its answer.
    std::optional<RawResponse> ask(std::string_view request) {
        send(request);
        return read(request.substr(0, 5) == "HEAD ");
    }

    /// Tells the server that nothing more will be sent; what it answers can still be read.
    void end() { ::shutdown(socket_, SHUT_WR); }

    /// Whether nothing more comes: the server has closed the connection, and sent no further byte before.
    bool is_closed() { return buffer_.empty() && !more() && closed_; }

private:
    bool more() {
        std::array<char, 4096> chunk;
        const auto got = ::recv(socket_, chunk.data(), chunk.size(), 0);
        // Reset is what a client sees that was still sending when the server closed.
        closed_ = got == 0 || (got < 0 && errno == ECONNRESET);
        if (got <= 0) return false;
        buffer_.append(chunk.data(), static_cast<std::size_t>(got));
        return true;
    }

    int socket_;
    std::string buffer_;
    bool closed_ = false;
};

inline std::string raw_request(const std::string& method, const std::string& path, const std::string& headers = {},
                               const std::string& body = {}) {
    return method + " " + path + " HTTP/1.1\r\nHost: localhost\r\n" + headers +
           (body.empty() ? "" : "Content-Length: " + std::to_string(body.size()) + "\r\n") + "\r\n" + body;
}

#endif
