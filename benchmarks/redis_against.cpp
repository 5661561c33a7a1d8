// SPDX-License-Identifier: MIT
//
// What decisions cost a Redis server with this revision's scripts and with another's, side by side:
//     redis_against_benchmark THESE THOSE FOLDER [--quick]
// THESE and THOSE are redis/requests.cpp, compiled with the headers of either; FOLDER is for what they write.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "redis/server_cost.hpp"
#include "support/machine.hpp"
#include "support/processors.hpp"

using namespace std::chrono_literals;
using server_cost::Contender;

namespace {

/// Has a program write its requests, and reads them.
std::vector<Contender> requests_of(const RedisServer& server, const std::string& program, const std::string& name,
                                   const std::string& folder) {
    const std::string path = folder + "/" + name + ".requests";
    const std::string command = "'" + program + "' '" + server.socket_path() + "' " + name + " '" + path + "'";
    if (std::system(command.c_str()) != 0) server_cost::fail("failed: " + command);
    std::ifstream file{path, std::ios::binary};
    std::vector<Contender> all;
    int decisions = 0;
    std::size_t size = 0;
    for (std::string what; file >> decisions >> size && file.get() && std::getline(file, what);) {
        std::string bytes(size, '\0');
        if (!file.read(bytes.data(), static_cast<std::streamsize>(size))) server_cost::fail(path + " is cut off");
        all.push_back({what, decisions, [=](std::string& out) { out += bytes; }});
    }
    return all;
}

}  // namespace

int main(int argc, char* argv[]) {
    if (argc < 4) server_cost::fail("Usage: redis_against_benchmark THESE THOSE FOLDER [--quick]");
    const bool quick = argc > 4 && std::strcmp(argv[4], "--quick") == 0;
    std::printf("%s\n", support::machine().c_str());
    support::pin_thread(0);  // inherited by the server
    const RedisServer server;
    support::pin_thread(1);
    std::printf("Redis %s\n", server.info("redis_version").c_str());
    const auto these = requests_of(server, argv[1], "these", argv[3]);
    const auto those = requests_of(server, argv[2], "those", argv[3]);
    if (these.empty() || these.size() != those.size()) server_cost::fail("the two do not send the same requests");

    std::vector<Contender> turns;  // both of a kind one after the other
    for (std::size_t i = 0; i != these.size(); ++i) {
        turns.push_back(these[i]);
        turns.push_back(those[i]);
    }
    server_cost::measure(server, turns, quick ? 15 : 51, quick ? 10ms : 20ms);

    std::printf("\nServer's processor time per decision, us            these   those   ratio\n");
    bool all_hold = true;
    for (std::size_t i = 0; i != turns.size(); i += 2) {
        const Contender& one = turns[i];
        const double ratio = server_cost::ratio(one, turns[i + 1]);
        // The exact log may cost what it saves in bytes and in lines.
        const double bound = one.name.starts_with("exact log") ? 0 : one.decisions == 1 ? 1.05 : 1.1;
        const bool holds = bound == 0 || ratio <= bound;
        all_hold = all_hold && holds;
        std::printf("  %-48s %6.3f  %6.3f  %6.3f", one.name.c_str(), server_cost::median(one.costs),
                    server_cost::median(turns[i + 1].costs), ratio);
        if (bound != 0) std::printf("  <= %.2f  %s", bound, holds ? "" : "NO");
        std::puts("");
    }
    std::printf("\n%s\n", all_hold ? "All ratios hold." : "Not all ratios hold.");
    return all_hold ? 0 : 1;
}
