// SPDX-License-Identifier: MIT
#include "support/catch.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <new>
#include <string>

#include <sluice/http/detail/unread_body.hpp>

using namespace std::chrono_literals;
using namespace sluice::http::detail;

namespace {

/// As much of cpp-httplib's as is asked for.
struct Request {
    std::string method = "POST";
    std::multimap<std::string, std::string> headers{};
    std::string remote_addr{};
    int remote_port = 0;
    bool has_parts = false;

    std::size_t get_header_value_count(const std::string& name) const { return headers.count(name); }
    std::string get_header_value(const std::string& name) const {
        const auto found = headers.find(name);
        return found == headers.end() ? std::string{} : found->second;
    }
    bool is_multipart_form_data() const { return has_parts; }
};
const Request chunked{.headers = {{"Transfer-Encoding", "chunked"}}};

Request of_length(std::string length) { return {.headers = {{"Content-Length", std::move(length)}}}; }

/// Reads a body of so many pieces of 10 bytes, or parts.
struct Reader {
    int pieces;

    bool operator()(const auto& receive) const {
        for (int i = 0; i != pieces; ++i) {
            if (!receive("0123456789", 10)) return false;
        }
        return true;
    }
    bool operator()(const auto& begins, const auto&) const {
        for (int i = 0; i != pieces; ++i) {
            if (!begins(i)) return false;
        }
        return true;
    }
};
bool drains(const Request& request, int pieces, std::uint64_t most, std::chrono::nanoseconds time = 1h) {
    return drain(request, Reader{pieces}, most, time);
}

}  // namespace

TEST_CASE("only a body whose end every version of the server finds is read", "[http][unread_body]") {
    CHECK(has_readable_body(chunked));
    for (const char* length : {"0", "9", "999999999999999999"}) CHECK(has_readable_body(of_length(length)));
    for (const char* length : {"", "+1", "1x", "1000000000000000000"})
        CHECK_FALSE(has_readable_body(of_length(length)));
    Request other = chunked;
    other.method = "DELETE";
    CHECK_FALSE(has_readable_body(other));
    other = chunked;
    other.headers.emplace("Content-Length", "1");
    CHECK_FALSE(has_readable_body(other));
    CHECK_FALSE(has_readable_body(Request{.headers = {{"Transfer-Encoding", "gzip"}}}));
    CHECK_FALSE(has_readable_body(Request{}));
}

TEST_CASE("a denied body is read up to the most, in the time that there is", "[http][unread_body]") {
    CHECK((drains(chunked, 10, 100) && !drains(chunked, 10, 99)));
    CHECK((drains(of_length("100"), 0, 100) && !drains(of_length("101"), 0, 100)));
    Request parts = chunked;
    parts.has_parts = true;  // each counts as 64 bytes
    CHECK((drains(parts, 2, 128) && !drains(parts, 2, 127)));
    CHECK_FALSE(drains(chunked, 1, 100, -1h));
    CHECK_FALSE(drains(Request{}, 1, 100));
    CHECK_FALSE(drain(
        chunked, [](const auto&, const auto&...) -> bool { throw std::bad_alloc{}; }, 100, 1h));
}

TEST_CASE("a connection that was left open is known by its peer", "[http][unread_body]") {
    LeftOpen left;
    Request request{};
    CHECK_FALSE(left.is_of(request));
    request.remote_addr = "192.0.2.1";
    request.remote_port = 7;
    left.remember(request);
    CHECK(left.is_of(request));
    Request other = request;
    other.remote_port = 8;
    CHECK_FALSE(left.is_of(other));
    other = request;
    other.remote_addr = "192.0.2.10";
    CHECK_FALSE(left.is_of(other));
    left.forget();
    CHECK_FALSE(left.is_of(request));
}

TEST_CASE("an answer that ends its connection is written whole, and then fails", "[http][unread_body]") {
    struct Sink {
        std::string written{};
        void write(const char* data, std::size_t size) { written.append(data, size); }
    };
    const auto content = std::make_shared<const std::string>("denied");
    Sink all, part, short_part, head;
    CHECK_FALSE(ClosingProvider{content}(0, all));
    CHECK_FALSE(ClosingProvider{content}(2, 9, part));
    CHECK_FALSE(ClosingProvider{content}(2, 1, short_part));
    CHECK_FALSE(ClosingProvider{content, true}(0, 6, head));
    CHECK((all.written == "denied" && part.written == "nied" && short_part.written == "n" && head.written.empty()));
}
