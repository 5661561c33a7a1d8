// SPDX-License-Identifier: MIT
#ifndef SLUICE_POSTGRES_DETAIL_SESSION_HPP
#define SLUICE_POSTGRES_DETAIL_SESSION_HPP

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

#include <sluice/error.hpp>
#include <sluice/postgres/detail/call_set.hpp>
#include <sluice/postgres/detail/connection.hpp>
#include <sluice/postgres/detail/dialer.hpp>
#include <sluice/postgres/detail/errors.hpp>
#include <sluice/postgres/detail/statement.hpp>
#include <sluice/postgres/detail/sweeper.hpp>
#include <sluice/postgres/detail/target.hpp>
#include <sluice/postgres/postgres_options.hpp>
#include <sluice/remote/breaker.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/remote/lanes.hpp>

namespace sluice::detail::postgres {

/// Of all copies of a store, in all processes that were forked since.
struct Counters {
    std::atomic<std::uint64_t> statements{0}, failures{0}, dials{0};

    static void add(std::atomic<std::uint64_t>& counter) noexcept { counter.fetch_add(1, std::memory_order_relaxed); }
};

/// What sessions have to know of the servers that they go to. Thread-safe.
struct Server {
    const Target& target;
    const PostgresOptions& options;
    Counters& counters;
    Sweeper& sweeper;
    Dialer dialer{target};
    std::atomic<int> open_sessions{0};
};

/// A connection for calls: dialled when needed, and again where an idle one cannot be trusted. One thread at a time.
class Session {
public:
    using Deadline = detail::remote::Deadline;
    using Outcome = detail::remote::Outcome;
    using Evidence = detail::remote::Breaker::Evidence;

    explicit Session(Server& server) noexcept : server_(server) {}

    bool is_open() const noexcept { return connection_.is_open(); }
    void abandon() noexcept { connection_.abandon(); }  ///< in a forked child

    /// Every call is answered afterwards, by numbers or by an error.
    Outcome perform(CallSet& calls, const Deadline& deadline) noexcept {
        const bool was_open = is_open();
        Outcome outcome;
        try {
            outcome = try_perform(calls, deadline);
        } catch (...) {
            connection_.close();
            calls.fail(Errc::no_memory);
        }
        server_.open_sessions += int{is_open()} - int{was_open};
        return outcome;
    }

private:
    using Clock = Deadline::Clock;
    using Tickets = std::span<const CallSet::Ticket>;
    static constexpr std::chrono::microseconds least_time{200};  // no server answers in less

    Outcome try_perform(CallSet& calls, const Deadline& deadline) {
        // Began when much of the time had gone, as the end of a long batch does: a timeout tells nothing.
        const bool is_late = 2 * deadline.remaining() < server_.options.timeout;
        const auto all = calls.open_calls();
        if (all.empty()) return {};
        could_not_dial_ = was_too_late_ = false;
        const Answer answer = ask(calls, all, 1, deadline);
        if (!answer.error && server_.sweeper.is_due(last_used_))
            connection_.run_later(server_.sweeper.text(server_.options.schema));
        const bool is_answer = !answer.error || is_about_the_request(answer);
        const bool has_failed = !is_answer && !was_too_late_ && !(is_late && answer.error == Errc::timeout);
        if (could_not_dial_) {
            calls.refuse(answer.error);
            // Refused while others serve, as by a server that has no more connections.
            const bool is_alone = server_.open_sessions == 0;
            return {has_failed && is_alone ? Evidence::failure : Evidence::nothing, true, true};
        }
        const bool is_slow = !answer.error && !is_late && Clock::now() > deadline.start() + server_.options.timeout / 2;
        if (answer.error && is_answer && all.size() != 1) {
            ask_apart(calls, all, deadline);
        } else if (answer.error) {
            calls.fail(answer.error);
        }
        return {has_failed  ? Evidence::failure
                : is_slow   ? Evidence::slow_answer
                : is_answer ? Evidence::answer
                            : Evidence::nothing};
    }

    /// One of them has failed all, as one that waits for a row's lock does.
    void ask_apart(CallSet& calls, Tickets all, const Deadline& deadline) {
        for (std::size_t i = 0; i != all.size(); ++i) {
            const auto shares = static_cast<int>(2 * (all.size() - i));
            if (const Answer answer = ask(calls, all.subspan(i, 1), shares, deadline); answer.error)
                calls.cancel(all[i], answer.error);
        }
    }

    /// Calls in one statement, which waits for locks for a part of the time.
    Answer ask(CallSet& calls, Tickets asked, int shares, const Deadline& deadline) {
        Answer answer;
        for (int attempt = 0; attempt != 2; ++attempt) {
            make_ready(deadline, answer);
            if (answer.error) return answer;
            const auto left = deadline.remaining();
            if (left < least_time) {
                was_too_late_ = true;
                answer.error = Errc::timeout;
                return answer;
            }
            // Locks are waited for twice at most: behind others that wait for the row, and for the row.
            connection_.run(transaction_settings(left * 2 / 5 / shares, left) + calls.statement(asked), deadline,
                            answer);
            last_used_ = Clock::now();
            if (answer.error == Errc::read_only || answer.error == Errc::loading) server_.dialer.retire(route_);
            if (!is_worth_a_retry(answer.sqlstate)) break;
        }
        if (!answer.error) {
            calls.answer(asked, answer.value);
            Counters::add(server_.counters.statements);
        }
        return answer;
    }

    /// Opens the connection unless it is open and can be trusted.
    void make_ready(const Deadline& deadline, Answer& answer) {
        if (connection_.is_open() && connection_.owes_answer()) {
            connection_.fetch_answer(deadline, answer);
            if (!answer.error) server_.sweeper.learn(answer.value);
        }
        answer = {};
        if (connection_.is_open() && (Clock::now() - last_used_ > server_.options.max_idle ||
                                      server_.dialer.is_retired(route_) || connection_.is_stale())) {
            connection_.close();
        }
        if (connection_.is_open()) return;
        Counters::add(server_.counters.dials);
        answer.error = server_.dialer.dial(connection_, route_, deadline);
        could_not_dial_ = bool{answer.error};
    }

    /// The server is well: no reason for the breaker to keep other keys away.
    static bool is_about_the_request(const Answer& answer) noexcept {
        return !answer.sqlstate.empty() && classify(answer.sqlstate).concerns == ErrorReport::Concerns::request;
    }

    Server& server_;
    Connection connection_{};
    Dialer::Route route_{};
    Clock::time_point last_used_{};
    bool could_not_dial_ = false;
    bool was_too_late_ = false;
};

}  // namespace sluice::detail::postgres

#endif
