// SPDX-License-Identifier: MIT

#include <exception>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "conformance/replay.hpp"

namespace {

int usage(std::ostream& out, int status) {
    out << "Usage: sluice-replay --store NAME FILE...\n\n"
           "Replays files of expected decisions on a store. The last line is 'N passed, N failed', counting files.\n\n"
           "Stores:";
    for (const auto& [name, replay] : conformance::replays()) out << ' ' << name;
    out << '\n';
    return status;
}

std::string replay_file(const conformance::Replay& replay, const std::string& path) {
    std::ifstream in{path};
    if (!in) return "cannot be read";
    try {
        return replay(conformance::read_vectors(in), path);
    } catch (const std::exception& error) {
        return error.what();
    }
}

}  // namespace

int main(int argc, char* argv[]) {
    std::string store;
    std::vector<std::string> files;
    for (int i = 1; i < argc; ++i) {
        const std::string argument = argv[i];
        if (argument == "--help") return usage(std::cout, 0);
        if (argument == "--store" && i + 1 < argc) {
            store = argv[++i];
        } else if (argument.starts_with("--")) {
            return usage(std::cerr, 2);
        } else {
            files.push_back(argument);
        }
    }
    const auto found = conformance::replays().find(store);
    if (found == conformance::replays().end() || files.empty()) return usage(std::cerr, 2);

    int failed = 0;
    for (const auto& path : files) {
        const auto problem = replay_file(found->second, path);
        if (problem.empty()) continue;
        ++failed;
        std::cout << "FAILED " << path << ": " << problem << '\n';
    }
    std::cout << static_cast<int>(files.size()) - failed << " passed, " << failed << " failed\n";
    return failed == 0 ? 0 : 1;
}
