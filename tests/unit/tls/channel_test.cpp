// SPDX-License-Identifier: MIT

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <sluice/tls.hpp>

#include "support/catch.hpp"
#include "support/certificates.hpp"
#include "support/random.hpp"
#include "support/tls_peer.hpp"

using sluice::Errc;
using sluice::Tls;
using sluice::detail::remote::Channel;
using sluice::detail::remote::ChannelFactory;
using Status = Channel::Status;
using Factory = std::shared_ptr<const ChannelFactory>;

const Certificates& files() {
    static const Certificates made;
    return made;
}

/// Gives a channel bytes of the wire, `step` at a time.
void feed(Channel& channel, std::string_view wire, std::size_t step = 65'536) {
    std::array<char, 1> plain;
    while (!wire.empty()) {
        auto room = channel.room();
        if (room.empty()) {  // what came before has to be looked at first
            REQUIRE(channel.read(std::span{plain}.first(0)).status != Status::done);
            room = channel.room();
            REQUIRE(!room.empty());
        }
        const auto count = std::min({step, wire.size(), room.size()});
        std::copy_n(wire.begin(), count, room.begin());
        channel.received(count);
        wire.remove_prefix(count);
        if (step < 65'536 && channel.handshake() == Status::closed) return;
    }
}
std::string take_output(Channel& channel, std::size_t step = 65'536) {
    std::string all;
    for (auto output = channel.output(); !output.empty(); output = channel.output()) {
        const auto some = output.substr(0, step);
        all += some;
        channel.sent(some.size());
    }
    return all;
}

/// Lets both sides talk until neither has more to say.
Status shake_hands(Channel& channel, TlsPeer& peer, std::size_t step = 65'536) {
    for (;;) {
        const Status status = channel.handshake();
        const std::string there = take_output(channel, step);
        peer.feed(there);
        peer.read();
        const std::string back = peer.output();
        feed(channel, back, step);
        if (status == Status::closed || (there.empty() && back.empty())) return status;
    }
}

std::string read_all(Channel& channel) {
    std::string all;
    std::array<char, 1'000> buffer;
    for (;;) {
        const auto result = channel.read(buffer);
        if (result.status != Status::done) return all;
        all.append(buffer.data(), result.bytes);
    }
}

/// How a handshake with such a server ends, seen by the client once the server has spoken its last words.
std::error_code outcome(const Factory& factory, const std::string& host, const TlsServer& server) {
    TlsPeer peer{server};
    const auto channel = factory->make(host);
    if (shake_hands(*channel, peer) != Status::closed) {
        std::array<char, 1> byte;
        if (channel->read(byte).status == Status::wants_read) return {};
    }
    return channel->failure();
}

TEST_CASE("a channel carries bytes both ways, whatever pieces they come in") {
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        const TlsServer server{files(), "server", false, version};
        for (const std::size_t step : {std::size_t{1}, std::size_t{7}, std::size_t{65'536}}) {
            const Factory factory = Tls{.ca_file = files().ca()};
            TlsPeer peer{server};
            const auto channel = factory->make("localhost");
            REQUIRE(shake_hands(*channel, peer, step) == Status::done);
            CHECK(SSL_version(peer.get()) == version);
            CHECK(std::string{SSL_get_servername(peer.get(), TLSEXT_NAMETYPE_host_name)} == "localhost");

            REQUIRE(channel->write("PING\r\n").bytes == 6);
            const std::string wire = take_output(*channel);
            CHECK(wire.find("PING") == std::string::npos);
            peer.feed(wire);
            CHECK(peer.read() == "PING\r\n");
            REQUIRE(peer.write("+PONG\r\n"));
            feed(*channel, peer.output(), step);
            CHECK(read_all(*channel) == "+PONG\r\n");

            channel->finish();
            peer.feed(take_output(*channel));
            CHECK(peer.read().empty());
            CHECK(SSL_get_shutdown(peer.get()) == SSL_RECEIVED_SHUTDOWN);
            CHECK(channel->write("more").status == Status::closed);
            std::array<char, 1> byte;
            CHECK(channel->read(byte).status == Status::closed);
            channel->finish();
            CHECK(channel->output().empty());
        }
    }
}

TEST_CASE("a channel that has not begun says no farewell") {
    const Factory factory = Tls{.ca_file = files().ca()};
    const auto channel = factory->make("localhost");
    channel->finish();
    CHECK(channel->output().empty());
    CHECK(channel->handshake() == Status::wants_read);
}

TEST_CASE("errors that others left in the thread's queue are not a channel's, which leaves none") {
    const TlsServer server{files()};
    TlsPeer peer{server};
    const Factory factory = Tls{.ca_file = files().ca()};
    const auto channel = factory->make("localhost");
    REQUIRE(shake_hands(*channel, peer) == Status::done);
    std::array<char, 1> byte;
    ERR_put_error(ERR_LIB_USER, 0, 1, __FILE__, __LINE__);
    CHECK(channel->read(byte).status == Status::wants_read);
    ERR_put_error(ERR_LIB_USER, 0, 1, __FILE__, __LINE__);
    channel->finish();
    CHECK(ERR_peek_error() == 0);
}

TEST_CASE("a channel takes no more than it can hold") {
    const Factory factory = Tls{.ca_file = files().ca()};
    const TlsServer server{files()};
    TlsPeer peer{server};
    const auto channel = factory->make("localhost");
    REQUIRE(shake_hands(*channel, peer) == Status::done);
    const std::string sent(200'000, 'x');
    std::size_t done = 0;
    std::string arrived;
    bool was_full = false;
    while (done != sent.size()) {
        const auto result = channel->write(std::string_view{sent}.substr(done));
        done += result.bytes;
        if (result.status == Status::done) continue;
        REQUIRE(result.status == Status::wants_write);
        was_full = true;
        peer.feed(take_output(*channel));
        for (std::string more = peer.read(); !more.empty(); more = peer.read()) arrived += more;
    }
    peer.feed(take_output(*channel));
    for (std::string more = peer.read(); !more.empty(); more = peer.read()) arrived += more;
    CHECK(was_full);
    CHECK(arrived == sent);
}

TEST_CASE("a channel accepts a certificate that is good, and tells what is wrong with others") {
    const Factory factory = Tls{.ca_file = files().ca()};
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        INFO(version);
        const auto with = [&](const char* name) { return TlsServer{files(), name, false, version}; };
        CHECK_FALSE(outcome(factory, "localhost", with("server")));
        CHECK_FALSE(outcome(factory, "localhost.", with("server")));
        CHECK_FALSE(outcome(factory, "127.0.0.1", with("server")));
        CHECK(outcome(factory, "localhost", with("expired")) == Errc::certificate_expired);
        CHECK(outcome(factory, "localhost", with("elsewhere")) == Errc::certificate_mismatch);
        CHECK(outcome(factory, "127.0.0.2", with("server")) == Errc::certificate_mismatch);
        CHECK(outcome(factory, "::1", with("server")) == Errc::certificate_mismatch);
        CHECK(outcome(factory, "localhost.evil.test", with("server")) == Errc::certificate_mismatch);
        CHECK(outcome(factory, "localhost", with("stranger")) == Errc::certificate_untrusted);
        CHECK(outcome(factory, "localhost", with("client")) == Errc::certificate_untrusted);  // of another use
    }
}

TEST_CASE("an address is no name that a server could be asked for") {
    const Factory factory = Tls{.ca_file = files().ca()};
    const TlsServer server{files()};
    for (const char* host : {"127.0.0.1", "::1"}) {
        TlsPeer peer{server};
        const auto channel = factory->make(host);
        static_cast<void>(shake_hands(*channel, peer));
        CHECK(SSL_get_servername(peer.get(), TLSEXT_NAMETYPE_host_name) == nullptr);
    }
}

TEST_CASE("the name that a certificate must have may be another than the host dialled") {
    const TlsServer elsewhere{files(), "elsewhere"};
    const Factory factory = Tls{.ca_file = files().ca(), .server_name = "elsewhere.test"};
    CHECK_FALSE(outcome(factory, "127.0.0.1", elsewhere));
    CHECK(outcome(factory, "localhost", TlsServer{files()}) == Errc::certificate_mismatch);
}

TEST_CASE("without verification every certificate will do") {
    const Factory factory = Tls{.dangerously_skip_verification = true};
    for (const char* name : {"server", "expired", "elsewhere", "stranger"})
        CHECK_FALSE(outcome(factory, "localhost", TlsServer{files(), name}));
}

TEST_CASE("the system's authorities do not know the test's") {
    CHECK(outcome(Factory{Tls{}}, "localhost", TlsServer{files()}) == Errc::certificate_untrusted);
}

TEST_CASE("a server may want a client certificate") {
    const Factory without = Tls{.ca_file = files().ca()};
    const Factory with = Tls{.ca_file = files().ca(),
                             .certificate_file = files().file("client.pem"),
                             .key_file = files().file("client.key")};
    const Factory strange = Tls{.ca_file = files().ca(),
                                .certificate_file = files().file("stranger.pem"),
                                .key_file = files().file("stranger.key")};
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        INFO(version);
        const TlsServer server{files(), "server", true, version};
        CHECK_FALSE(outcome(with, "localhost", server));
        CHECK(outcome(without, "localhost", server) == Errc::authentication);
        CHECK(outcome(strange, "localhost", server) == Errc::authentication);
    }
}

TEST_CASE("TLS 1.1 is too old") {
    const Factory factory = Tls{.ca_file = files().ca()};
    CHECK(outcome(factory, "localhost", TlsServer{files(), "server", false, TLS1_1_VERSION}) == Errc::protocol);
    // Whatever the system's own settings are.
    const sluice::detail::tls::Context context{Tls{}};
    CHECK(SSL_CTX_get_min_proto_version(context.get()) == TLS1_2_VERSION);
    CHECK((SSL_CTX_get_options(context.get()) & SSL_OP_NO_RENEGOTIATION) != 0);
}

TEST_CASE("what is no TLS is told from what is broken TLS") {
    const Factory factory = Tls{.ca_file = files().ca()};
    for (const std::string_view said : {"-ERR unknown command\r\n", "+OK\r\n", "HTTP/1.1 400 Bad Request\r\n", "\n"}) {
        const auto channel = factory->make("localhost");
        CHECK(channel->handshake() == Status::wants_read);
        feed(*channel, said);
        CHECK(channel->handshake() == Status::closed);
        CHECK(channel->failure() == Errc::misconfigured);
    }
    const auto channel = factory->make("localhost");
    CHECK(channel->handshake() == Status::wants_read);
    feed(*channel, std::string_view{"\x16\x03\x03\x00\x04zzzz", 9});
    CHECK(channel->handshake() == Status::closed);
    CHECK(channel->failure() == Errc::protocol);
}

TEST_CASE("damaged bytes are never taken for good ones") {
    const Factory factory = Tls{.ca_file = files().ca()};
    const TlsServer server{files()};
    Random random{"damaged bytes"};
    for (int i = 0; i != 300; ++i) {
        TlsPeer peer{server};
        const auto channel = factory->make("localhost");
        const bool early = i % 2 == 0;
        if (!early) REQUIRE(shake_hands(*channel, peer) == Status::done);
        if (early) {
            channel->handshake();
            peer.feed(take_output(*channel));
            peer.read();
        } else {
            peer.write("+OK\r\n");
        }
        std::string wire = peer.output();
        const auto at = random.between(std::size_t{0}, wire.size() - 1);
        wire[at] = static_cast<char>(wire[at] ^ static_cast<char>(random.between(1, 255)));
        feed(*channel, wire);
        std::array<char, 64> buffer;
        const auto result = channel->read(buffer);
        INFO(i << " byte " << at);
        CHECK(result.status != Status::done);
        CHECK(channel->failure());
    }
}

TEST_CASE("a later connection resumes an earlier one's session, and only to the same host") {
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        const TlsServer server{files(), "server", false, version};
        const Factory factory = Tls{.ca_file = files().ca()};
        const auto is_resumed = [&](const std::string& host) {
            TlsPeer peer{server};
            const auto channel = factory->make(host);
            REQUIRE(shake_hands(*channel, peer) == Status::done);
            read_all(*channel);
            channel->finish();
            return SSL_session_reused(peer.get()) == 1;
        };
        CHECK_FALSE(is_resumed("localhost"));
        CHECK(is_resumed("localhost"));
        CHECK_FALSE(is_resumed("127.0.0.1"));
    }
}

TEST_CASE("files that cannot be used are refused at once, by name") {
    const auto refusal = [](const Tls& tls) -> std::string {
        try {
            static_cast<void>(Factory{tls});
        } catch (const std::invalid_argument& error) {
            CHECK(ERR_peek_error() == 0);
            return error.what();
        }
        return {};
    };
    const auto& certs = files();
    CHECK(refusal({.ca_file = "/nonexistent.pem"}).find("ca_file \"/nonexistent.pem\"") != std::string::npos);
    CHECK(refusal({.ca_file = certs.file("make.sh")}).find("ca_file") != std::string::npos);
    CHECK(refusal({.certificate_file = "/nonexistent.pem"}).find("certificate_file") != std::string::npos);
    CHECK(refusal({.key_file = certs.file("client.key")}).find("certificate_file") != std::string::npos);
    CHECK(refusal({.certificate_file = certs.file("client.pem")}).find("key_file") != std::string::npos);
    const auto key = [&](const char* name) {
        return refusal({.certificate_file = certs.file("client.pem"), .key_file = certs.file(name)});
    };
    CHECK(key("server.key").find("key_file") != std::string::npos);
    CHECK(key("locked.key").find("key_file") != std::string::npos);  // and nobody is asked for its password
    CHECK(key("client.key").empty());
    CHECK(ERR_peek_error() == 0);
}
