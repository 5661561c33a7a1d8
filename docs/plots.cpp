// SPDX-License-Identifier: MIT
//
// Draws docs/plots/*.svg: what each policy admits of three kinds of load, decided by the library itself on a ManualClock. The
// argument is the folder to write to.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include <sluice/sluice.hpp>

using namespace std::chrono_literals;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds length = 30s;
constexpr milliseconds step = 500ms;
constexpr milliseconds window = 10s;
constexpr int limit = 10;

/// Requests, by when they come; several may come at once.
using Load = std::vector<milliseconds>;

void add_requests(Load& load, milliseconds from, milliseconds to, int count) {
    for (int i = 0; i != count; ++i) load.push_back(from + (to - from) * i / count);
}

Load bursts() {
    Load load;
    for (const milliseconds at : {1s, 6s, 18s}) add_requests(load, at, at, 15);
    return load;
}
Load overload() {
    Load load;
    add_requests(load, 0s, length, 90);
    return load;
}
Load window_edge() {
    Load load;
    add_requests(load, 9s, 10s, limit);
    add_requests(load, 10s, 11s, limit);
    add_requests(load, 11s, length, 19);
    return load;
}

template <class P>
Load admitted(const P& policy, const Load& load) {
    sluice::ManualClock clock;
    clock.set(milliseconds{1'000'000'000});  // a multiple of the window, so that windows start at 0, 10 and 20 s
    const sluice::MemoryStore<P, sluice::ManualClock> store{{}, clock};
    const sluice::RateLimiter limiter{policy, store};
    Load passed;
    milliseconds now{0};
    for (const milliseconds at : load) {
        clock.advance(at - std::exchange(now, at));
        if (limiter.try_consume("key")) passed.push_back(at);
    }
    return passed;
}

std::size_t most_in_a_window(const Load& load) {
    std::size_t most = 0;
    for (std::size_t first = 0, last = 0; last != load.size(); ++last) {
        while (load[last] - load[first] >= window) ++first;
        most = std::max(most, last - first + 1);
    }
    return most;
}

std::vector<int> counted(const Load& load) {
    std::vector<int> bins(static_cast<std::size_t>(length / step));
    for (const milliseconds at : load) ++bins[static_cast<std::size_t>(at / step)];
    return bins;
}

constexpr int panel_width = 268, panel_height = 150, bar = 4, base = 112, unit = 5, left = 14;

std::string bars(const Load& load, const char* kind) {
    std::string text;
    const std::vector<int> bins = counted(load);
    for (std::size_t i = 0; i != bins.size(); ++i) {
        if (bins[i] == 0) continue;
        const int height = bins[i] * unit;
        text += "<rect class=\"" + std::string{kind} + "\" x=\"" + std::to_string(left + bar * static_cast<int>(i)) +
                "\" y=\"" + std::to_string(base - height) + "\" width=\"3\" height=\"" + std::to_string(height) +
                "\"/>\n";
    }
    return text;
}

std::string text_at(int x, int y, const std::string& text, const char* kind = "") {
    return "<text class=\"" + std::string{kind} + "\" x=\"" + std::to_string(x) + "\" y=\"" + std::to_string(y) +
           "\">" + text + "</text>\n";
}

std::string panel(int index, const char* title, const Load& offered, const Load& passed) {
    std::string text = "<g transform=\"translate(" + std::to_string(index * panel_width) + ",0)\">\n" +
                       text_at(left, 18, title, "title") + bars(offered, "offered") + bars(passed, "admitted");
    const int right = left + bar * static_cast<int>(length / step);
    text += "<path d=\"M" + std::to_string(left) + ' ' + std::to_string(base) + 'H' + std::to_string(right) + "\"/>\n";
    for (const int second : {0, 10, 20, 30}) {
        text += text_at(left + bar * second * 2 - 3, base + 13, std::to_string(second) + (second == 0 ? " s" : ""));
    }
    text += text_at(left, base + 30,
                    std::to_string(passed.size()) + " of " + std::to_string(offered.size()) + " admitted, at most " +
                        std::to_string(most_in_a_window(passed)) + " in any 10 s");
    return text + "</g>\n";
}

template <class P>
void draw(const std::string& folder, const P& policy) {
    std::ofstream file{folder + '/' + std::string{P::kind} + ".svg"};
    file << "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " << 3 * panel_width << ' ' << panel_height
         << "\" role=\"img\" aria-label=\"Requests offered and admitted by " << P::kind << "\">\n"
         << "<style>text{font:11px "
            "system-ui,sans-serif;fill:#57606a}.title{font-weight:600}path{stroke:#8c959f;fill:none}"
            ".offered{fill:#d0d7de}.admitted{fill:#0969da}@media(prefers-color-scheme:dark){text{fill:#9198a1}"
            ".offered{fill:#3d444d}.admitted{fill:#4493f8}}</style>\n";
    int index = 0;
    for (const auto& [title, load] :
         {std::pair{"three bursts of 15", bursts()}, std::pair{"3 a second, steadily", overload()},
          std::pair{"10 before and 10 after an edge", window_edge()}}) {
        file << panel(index++, title, load, admitted(policy, load));
    }
    file << "</svg>\n";
    if (!file.flush()) {
        std::cerr << "cannot write to " << folder << '\n';
        std::exit(1);
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::cerr << "usage: plots FOLDER\n";
        return 2;
    }
    const std::string folder = argv[1];
    draw(folder, sluice::TokenBucket{limit, sluice::per_second(1)});
    draw(folder, sluice::FixedWindow{limit, window});
    draw(folder, sluice::SlidingWindow{limit, window});
    draw(folder, sluice::SlidingWindowCounter{limit, window});
    draw(folder, sluice::LeakyBucket{limit, sluice::per_second(1)});
}
