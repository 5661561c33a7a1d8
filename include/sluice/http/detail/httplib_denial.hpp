// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_DETAIL_HTTPLIB_DENIAL_HPP
#define SLUICE_HTTP_DETAIL_HTTPLIB_DENIAL_HPP

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <sluice/http/adapter.hpp>
#include <sluice/http/detail/text.hpp>
#include <sluice/http/detail/unread_body.hpp>

// What the cpp-httplib adapter keeps of a request, and how it denies one.
namespace sluice::http::detail {

/// What is kept of a request until the server destroys it, in a member that only clients use. So it cannot be another
/// request's, as what a thread or an address is remembered by could. At most 1032 bytes: larger blocks go past the caches that
/// glibc's malloc has for each thread, which costs a thousand instructions.
struct HttplibRecord {
    explicit HttplibRecord(Guard asked) noexcept : guard(std::move(asked)) {}  // see Answer's

    Guard guard;
    Answer answer{};
    bool is_checked = false;  // or left to a route, and the answer says nothing
    bool is_unread = false;   // denied, and the body left where it was
    bool is_head = false;

    template <class Response>
    bool operator()(const Response&) const {  // as that member wants it
        return true;
    }
};

/// Null if none is kept. Here and below: the request is the server's own object, which is not const.
template <class Request>
HttplibRecord* record_of(const Request& request) noexcept {
    return const_cast<Request&>(request).response_handler.template target<HttplibRecord>();
}

/// Null where the rules were not asked.
template <class Request>
const Verdict* verdict_of(const Request& request) noexcept {
    const HttplibRecord* record = record_of(request);
    return record == nullptr || !record->is_checked ? nullptr : &record->answer.verdict;
}

/// A new record in the place of another. May throw std::bad_alloc, and has changed nothing then.
template <class Request>
HttplibRecord& keep(const Request& request, const Guard& guard) {
    const_cast<Request&>(request).response_handler = HttplibRecord{guard};
    return *record_of(request);
}

// cpp-httplib compares names letter by letter through a locale, at each step of a search. So the few headers that are there are
// looked through instead, and the place of a new one is a guess that is right as a rule and costs few letters.

template <class Headers>
void remove_header(Headers& headers, std::string_view name) {
    const auto is_named = [&](const auto& line) { return equals_ignoring_case(line.first, name); };
    if (std::any_of(headers.begin(), headers.end(), is_named)) headers.erase(std::string{name});
}

/// In place of what is there.
template <class Response>
void set_header(Response& response, const char* name, std::string_view value) {
    remove_header(response.headers, name);
    response.headers.emplace_hint(response.headers.end(), name, value);
}

/// The guard's fields, in place of what is there, be it the guard's or a handler's own. Without memory some are left out.
template <class Response>
void write_headers(const HttplibRecord& record, Response& response) noexcept {
    const FieldList& fields = record.answer.fields;
    auto& headers = response.headers;
    const auto write = [&] {
        for (const Field field : fields) remove_header(headers, field.name);
        // "X-RateLimit-..." belongs at the end; from the last to the first, since one before another is compared with that
        // once, and one behind it twice.
        auto place = headers.end();
        for (std::size_t i = fields.size(); i-- > 0;)
            place = headers.emplace_hint(place, fields[i].name, fields[i].value);
    };
    sluice::detail::try_or(write, [] {});
}

/// Answers a denied request and closes the connection where its body has not been read, unless somebody puts
/// another body into the response: see close_after. May throw std::bad_alloc.
template <class Request, class Response>
void deny(const Request& request, Response& response, HttplibRecord& record) {
    auto& mine = const_cast<Request&>(request);
    // A denial is no document to take a part of: some versions look for the range that a client asks for in any
    // response, and abort if it is not there.
    mine.ranges.clear();
    const DenialBody& body = record.answer.denial;
    const std::string type{body.content_type};
    response.status = body.status;
    if (!record.is_unread) return response.set_content(body.content, type.c_str());
    record.is_head = request.method == "HEAD";
    if (record.is_head)
        mine.method = "GET";  // or the provider would not be called; it writes nothing, as HEAD wants it
    LeftOpen::of_this_thread().remember(request);
    set_header(response, "Connection", "close");
    response.headers.erase("Content-Type");
    response.set_content_provider(body.content.size(), type.c_str(),
                                  ClosingProvider{std::make_shared<const std::string>(body.content), record.is_head});
}

/// Moves the answer's body, by which a connection stays open, into a provider, by which it ends. For the last handler
/// that touches a response: what the others have put into it wins over deny()'s provider.
template <class Response>
void close_after(Response& response, bool is_head) {
    const std::string type = response.get_header_value("Content-Type");
    const auto content = std::make_shared<const std::string>(std::move(response.body));
    response.body.clear();
    set_header(response, "Content-Length", std::to_string(content->size()));
    set_header(response, "Connection", "close");
    for (const char* name : {"Content-Type", "Transfer-Encoding", "Keep-Alive"}) response.headers.erase(name);
    // Without a length: what the server's headers say of one has been written by now, and no range is taken of it.
    response.set_content_provider(type.empty() ? "text/plain" : type.c_str(), ClosingProvider{content, is_head});
}

}  // namespace sluice::http::detail

#endif
