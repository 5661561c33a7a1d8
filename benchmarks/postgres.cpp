// SPDX-License-Identifier: MIT
//
// The Postgres store against pgbench, which runs the same statement:  postgres_benchmark CONNECTION PGBENCH SCRIPT
// pgbench has a connection for each of its clients, the store its usual four, over which threads that wait are combined. Keys
// are drawn from the same thousand, and all is admitted, so that every decision writes. SCRIPT is a file to write pgbench's
// script to.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <sluice/postgres.hpp>
#include <sluice/sluice.hpp>

#include "support/machine.hpp"

using namespace std::chrono_literals;

namespace {

constexpr int clients = 16;
constexpr int keys = 1'000;
constexpr int rounds = 5;
constexpr int seconds = 3;

using Limiter = sluice::RateLimiter<sluice::TokenBucket, sluice::PostgresStore>;

[[noreturn]] void fail(const std::string& what) {
    std::fprintf(stderr, "%s\n", what.c_str());
    std::exit(1);
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

/// The statement of the limiter's single decision, with all that is the same for every key as pgbench's own variables.
std::string pgbench_command(const sluice::TokenBucket& policy, const std::string& pgbench,
                            const std::string& connection, const std::string& script) {
    const sluice::Request<sluice::TokenBucket> request{{"pgbench", policy}, "key"};
    sluice::detail::postgres::Parts parts;
    sluice::PostgresPolicy<sluice::TokenBucket>::parts(policy, std::chrono::nanoseconds::max(), parts);
    sluice::detail::postgres::Statement statement{"sluice", "decide_2", request.scope.id};
    statement.finish(parts, request, {});
    sluice::detail::postgres::CallSet calls;
    const std::array only{calls.add(statement.call({&request.key, 1}))};
    // pgbench sends what \\; joins in one message, too.
    std::string text = sluice::detail::postgres::replaced(
        sluice::detail::postgres::transaction_settings(2s, 5s) + calls.statement(only), ";", "\\;");
    text = sluice::detail::postgres::replaced(text, "E'\\\\x6b6579'", "int8send(:k)");
    std::ofstream{script} << "\\set k random(1, " << keys << ")\n" << text << '\n';
    return pgbench + " -n -M simple -c " + std::to_string(clients) + " -j 2 -T " + std::to_string(seconds) + " -f '" +
           script + "' '" + connection + "' 2>&1";
}

double run_pgbench(const std::string& command) {
    FILE* const pipe = ::popen(command.c_str(), "r");
    if (pipe == nullptr) fail("cannot run pgbench");
    std::string output;
    for (char line[512]; std::fgets(line, sizeof line, pipe) != nullptr;) output += line;
    const int status = ::pclose(pipe);
    const auto at = output.find("tps = ");
    if (status != 0 || at == std::string::npos) fail(command + "\n" + output);
    return std::stod(output.substr(at + 6));
}

/// Decisions per second of so many threads, each deciding on `at_once` keys in a call.
double run_threads(const Limiter& limiter, int threads, std::size_t at_once) {
    std::atomic<std::uint64_t> decisions{0};
    std::atomic<bool> over{false};
    std::vector<std::thread> all;
    const auto start = std::chrono::steady_clock::now();
    for (int t = 0; t != threads; ++t) {
        all.emplace_back([&, t] {
            std::minstd_rand random{static_cast<std::minstd_rand::result_type>(t + 1)};
            std::vector<std::string> names(at_once);
            std::vector<std::string_view> views(at_once);
            std::vector<sluice::Decision> out(at_once);
            while (!over) {
                for (std::size_t i = 0; i != at_once; ++i) {
                    names[i] = "key " + std::to_string(1'000 + random() % keys);
                    views[i] = names[i];
                }
                if (at_once == 1) {
                    out[0] = limiter.try_consume(views[0]);
                } else {
                    limiter.try_consume_many(views, out);
                }
                for (const auto& decision : out) {
                    if (decision.error) fail("a decision failed: " + decision.error.message());
                }
                decisions += at_once;
            }
        });
    }
    std::this_thread::sleep_for(std::chrono::seconds{seconds});
    over = true;
    for (auto& thread : all) thread.join();
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    return static_cast<double>(decisions) / elapsed.count();
}

bool expect(const char* what, double ratio, double least) {
    std::printf("  %-60s %8.2f  >= %.2f%s\n", what, ratio, least, ratio >= least ? "" : "  NO");
    return ratio >= least;
}

}  // namespace

int main(int argc, char* argv[]) {
    if (argc != 4) fail("Usage: postgres_benchmark CONNECTION PGBENCH SCRIPT");
    const sluice::TokenBucket policy{1'000'000'000, sluice::per_second(1'000'000)};
    const sluice::PostgresStore store{argv[1], {.timeout = 5s}};
    if (const auto error = store.ensure_schema()) fail("no schema: " + error.message());
    const Limiter limiter{policy, store, {.name = "threads"}};
    const std::string command = pgbench_command(policy, argv[2], argv[1], argv[3]);

    std::printf("%s\nDecisions per second, in turns:\n", support::machine().c_str());
    run_threads(limiter, clients, 32);  // every key is there, every connection open
    std::vector<double> against_pgbench, against_single;
    for (int round = 0; round != rounds; ++round) {
        const double theirs = run_pgbench(command);
        const double ours = run_threads(limiter, clients, 1);
        const double single = run_threads(limiter, 1, 1);
        const double many = run_threads(limiter, 1, 32);
        against_pgbench.push_back(ours / theirs);
        against_single.push_back(many / single);
        std::printf("  pgbench %6.0f   16 threads %6.0f   one thread %6.0f   in batches of 32 %6.0f\n", theirs, ours,
                    single, many);
        std::fflush(stdout);
    }
    bool all = expect("16 threads, of pgbench with 16 clients", median(against_pgbench), 0.9);
    all = expect("batches of 32, of single decisions", median(against_single), 3) && all;
    return all ? 0 : 1;
}
