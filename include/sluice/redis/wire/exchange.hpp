// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_WIRE_EXCHANGE_HPP
#define SLUICE_REDIS_WIRE_EXCHANGE_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/remote/address.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/redis/wire/call.hpp>
#include <sluice/redis/link/connection.hpp>
#include <sluice/redis/redis_stats.hpp>
#include <sluice/redis/redis_url.hpp>

namespace sluice::redis {

/// Answers some calls in one go on one connection: calls that can share a script's run do, and all runs are written
/// before the first reply is read. What a request did is unknown once its first byte has left, so from there on nothing
/// is sent again, except a script that the server did not know.
class RoundTrip {
public:
    RoundTrip(const RedisUrl& url, detail::remote::AddressBook& book, Counters& counters)
        : url_(url), book_(book), counters_(counters) {}

    /// Every call is answered afterwards, by values or by an error. The result is what happened to the server as a
    /// whole: an error that concerns one key or one request only does not count.
    std::error_code run(Connection& connection, std::span<Call* const> calls, const detail::remote::Deadline& deadline,
                        bool check_idle) noexcept {
        std::error_code error;
        try {
            group(calls);
            error = exchange(connection, deadline, check_idle);
            if (!error && !connection.is_drained()) error = Errc::protocol;
        } catch (...) {
            error = Errc::no_memory;
        }
        if (error) {
            connection.close();
            for (Call* const call : calls) {
                if (!call->is_answered) call->fail(error);
            }
            return error;
        }
        Counters::add(counters_.round_trips, 1);
        return server_trouble_;
    }

private:
    /// One run of a script: so many calls from `calls_` on.
    struct Run {
        std::size_t first = 0;
        std::size_t count = 0;
        std::size_t decisions = 0;
        bool is_unknown = false;  // the server answered NOSCRIPT
    };

    static constexpr std::size_t max_decisions = 128;

    void group(std::span<Call* const> calls) {
        calls_.clear();
        runs_.clear();
        server_trouble_.clear();
        taken_.assign(calls.size(), false);
        for (std::size_t i = 0; i != calls.size(); ++i) {
            if (taken_[i]) continue;
            Run run{calls_.size(), 1, calls[i]->decisions};
            calls_.push_back(calls[i]);
            for (std::size_t j = i + 1; j != calls.size(); ++j) {
                if (taken_[j] || !calls[i]->joins(*calls[j]) || run.decisions + calls[j]->decisions > max_decisions)
                    continue;
                taken_[j] = true;
                calls_.push_back(calls[j]);
                ++run.count;
                run.decisions += calls[j]->decisions;
            }
            runs_.push_back(run);
        }
    }

    std::span<Call* const> calls_of(const Run& run) const noexcept {
        return std::span{calls_}.subspan(run.first, run.count);
    }

    void append(const Run& run, bool with_text) {
        const auto calls = calls_of(run);
        const Call& first = *calls.front();
        if (first.scripts == nullptr) {
            append_head(request_, 1);
            append_argument(request_, std::string_view{"PING"});
            return;
        }
        const Script& script = run.decisions == 1 ? first.scripts->single : first.scripts->batch;
        const std::size_t keys = run.decisions * first.keys_each;
        const auto is_as_first = [&](const Call* call) { return call->units == first.units; };
        const bool same_units = std::all_of(calls.begin(), calls.end(), is_as_first);
        append_head(request_, 3 + keys + first.common->count + (same_units ? 1 : run.decisions));
        request_ += with_text ? script.by_text : script.by_sha;
        append_argument(request_, keys);
        for (const Call* const call : calls) request_ += call->keys;
        request_ += first.common->bytes;
        for (const Call* const call : same_units ? calls.first(1) : calls) {
            for (std::size_t i = 0; i != (same_units ? 1 : call->decisions); ++i) request_ += call->units;
        }
        Counters::add(counters_.scripts, 1);
    }

    std::error_code exchange(Connection& connection, const detail::remote::Deadline& deadline, bool check_idle) {
        request_.clear();
        for (const Run& run : runs_) append(run, false);
        bool is_new = false;
        if (!connection.is_open() || (check_idle && connection.is_stale())) {
            if (const auto error = dial(connection, deadline)) return error;
            is_new = true;
        }
        std::size_t sent = 0;
        auto error = connection.send(request_, deadline, sent);
        if (error && sent == 0 && !is_new && error != Errc::timeout) {  // not a byte left: certainly not done
            error = dial(connection, deadline);
            if (!error) error = connection.send(request_, deadline, sent);
        }
        if (error) return error;

        request_.clear();
        for (Run& run : runs_) {
            if (const auto failed = receive(connection, run, deadline)) return failed;
            if (run.is_unknown) append(run, true);
        }
        if (request_.empty()) return {};
        if (const auto failed = connection.send(request_, deadline, sent)) return failed;
        for (Run& run : runs_) {
            if (!run.is_unknown) continue;
            if (const auto failed = receive(connection, run, deadline)) return failed;
        }
        return {};
    }

    std::error_code dial(Connection& connection, const detail::remote::Deadline& deadline) {
        Counters::add(counters_.dials, 1);
        return connection.open(url_, book_, deadline);
    }

    /// One run's reply. An error is returned only where the connection is of no more use.
    std::error_code receive(Connection& connection, Run& run, const detail::remote::Deadline& deadline) {
        const Reply* reply = nullptr;
        if (const auto error = connection.receive(reply, deadline)) return error;
        const auto calls = calls_of(run);
        if (reply->kind == Reply::Kind::error) {
            if (!run.is_unknown && reply->text.starts_with("NOSCRIPT")) {
                run.is_unknown = true;
                return {};
            }
            const std::error_code error = classify(reply->text);
            for (Call* const call : calls) call->fail(error);
            if (error != Errc::wrong_type) server_trouble_ = error;
            return {};
        }
        if (calls.front()->scripts == nullptr) {
            if (reply->kind != Reply::Kind::status) return Errc::protocol;
            calls.front()->is_answered = true;
            return {};
        }
        if (reply->kind != Reply::Kind::integers) return Errc::protocol;
        std::span<const std::int64_t> answers{reply->integers};
        for (Call* const call : calls) {
            if (!call->take(answers)) {
                call->is_answered = false;
                return Errc::protocol;
            }
        }
        for (const std::int64_t number : answers) {  // of decisions whose key turned out to be foreign
            if (!disown(calls, number)) return Errc::protocol;
        }
        Counters::add(counters_.decisions, run.decisions);
        return {};
    }

    static bool disown(std::span<Call* const> calls, std::int64_t number) noexcept {
        if (number < 1) return false;
        auto index = static_cast<std::size_t>(number - 1);
        for (Call* const call : calls) {
            if (index < call->decisions) {
                call->values[index * call->values_each] = Call::foreign;
                return true;
            }
            index -= call->decisions;
        }
        return false;
    }

    const RedisUrl& url_;
    detail::remote::AddressBook& book_;
    Counters& counters_;
    // Kept from one round trip to the next, so that they allocate no more.
    std::string request_;
    std::vector<Call*> calls_;
    std::vector<Run> runs_;
    std::vector<bool> taken_;
    std::error_code server_trouble_;
};

}  // namespace sluice::redis

#endif
