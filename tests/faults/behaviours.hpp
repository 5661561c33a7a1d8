// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_FAULTS_BEHAVIOURS_HPP
#define SLUICE_TESTS_FAULTS_BEHAVIOURS_HPP

#include <string>
#include <string_view>
#include <utility>

#include "support/fake_server.hpp"

/// A server that answers every request with `reply`, and then does `then`.
template <class Then>
FakeServer::Behaviour replies(std::string reply, Then then) {
    return [reply = std::move(reply), then](const FakePeer& peer) {
        while (!peer.read().empty()) {
            peer.write(reply);
            if (!then(peer)) return;
        }
    };
}

inline constexpr auto stay = [](const FakePeer&) { return true; };
inline constexpr auto silence = [](const FakePeer& peer) {
    peer.fall_silent();
    return false;
};
inline constexpr auto close_now = [](const FakePeer&) { return false; };

inline std::string repeated(std::string_view text, int times) {
    std::string all;
    for (int i = 0; i != times; ++i) all += text;
    return all;
}

#endif
