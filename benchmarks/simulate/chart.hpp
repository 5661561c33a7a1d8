// SPDX-License-Identifier: MIT
#ifndef SLUICE_BENCHMARKS_SIMULATE_CHART_HPP
#define SLUICE_BENCHMARKS_SIMULATE_CHART_HPP

#include <cmath>
#include <cstddef>
#include <ostream>
#include <string>
#include <vector>

namespace simulate {

/// Lines over seconds, as SVG that reads on light and on dark pages.
class Chart {
public:
    struct Line {
        std::string name, colour;
        std::vector<double> values;
    };
    struct Plot {
        std::string title;
        std::vector<Line> lines;
        double least, most;  // of the axis; logarithmic where least > 0
        std::vector<std::pair<double, std::string>> marks;
    };

    Chart(double seconds, double lost_from, double lost_until)
        : seconds_(seconds), lost_from_(lost_from), lost_until_(lost_until) {}

    void write(std::ostream& out, const std::vector<Plot>& plots) const {
        const double height = static_cast<double>(plots.size()) * (plot_height + gap) + 50;
        out << "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 760 " << height
            << "\" font-family=\"sans-serif\" "
               "font-size=\"12\">\n<style>text{fill:#667}.t{font-size:14px;font-weight:bold}"
               ".g{stroke:#8888;stroke-width:.5}</style>\n";
        double top = 30;
        for (const Plot& plot : plots) {
            out << "<text class=\"t\" x=\"" << left << "\" y=\"" << top - 10 << "\">" << plot.title << "</text>\n"
                << "<rect x=\"" << x(lost_from_) << "\" y=\"" << top << "\" width=\"" << x(lost_until_) - x(lost_from_)
                << "\" height=\"" << plot_height << "\" fill=\"#c44\" opacity=\".12\"/>\n<text x=\""
                << x(lost_from_) + 4 << "\" y=\"" << top + plot_height - 8 << "\">the hot key's shard is away</text>\n";
            for (const auto& [value, label] : plot.marks) {
                const double at = y(plot, value, top);
                out << "<line class=\"g\" x1=\"" << left << "\" x2=\"" << x(seconds_) << "\" y1=\"" << at << "\" y2=\""
                    << at << "\"/><text x=\"" << left - 6 << "\" y=\"" << at + 4 << "\" text-anchor=\"end\">" << label
                    << "</text>\n";
            }
            double legend = left;
            for (const Line& line : plot.lines) {
                out << "<polyline fill=\"none\" stroke=\"" << line.colour << "\" stroke-width=\"2\" points=\"";
                for (std::size_t i = 0; i != line.values.size(); ++i) {
                    out << x(static_cast<double>(i) + 0.5) << ',' << y(plot, line.values[i], top) << ' ';
                }
                out << "\"/>\n<circle cx=\"" << legend + 5 << "\" cy=\"" << top + plot_height + 20
                    << "\" r=\"5\" fill=\"" << line.colour << "\"/><text x=\"" << legend + 14 << "\" y=\""
                    << top + plot_height + 24 << "\">" << line.name << "</text>\n";
                legend += 24 + 7 * static_cast<double>(line.name.size());
            }
            top += plot_height + gap;
        }
        out << "<text x=\"" << x(seconds_) << "\" y=\"" << height - 8 << "\" text-anchor=\"end\">one day in "
            << seconds_ << " seconds</text>\n</svg>\n";
    }

private:
    static constexpr double left = 70, width = 670, plot_height = 200, gap = 80;

    double x(double second) const { return left + width * second / seconds_; }
    static double y(const Plot& plot, double value, double top) {
        const bool is_log = plot.least > 0;
        const auto scale = [&](double v) { return is_log ? std::log10(v < plot.least ? plot.least : v) : v; };
        return top + plot_height * (1 - (scale(value) - scale(plot.least)) / (scale(plot.most) - scale(plot.least)));
    }

    double seconds_, lost_from_, lost_until_;
};

}  // namespace simulate

#endif
