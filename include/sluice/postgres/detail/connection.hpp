// SPDX-License-Identifier: MIT
#ifndef SLUICE_POSTGRES_DETAIL_CONNECTION_HPP
#define SLUICE_POSTGRES_DETAIL_CONNECTION_HPP

#include <libpq-fe.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <system_error>

#include <sluice/error.hpp>
#include <sluice/postgres/detail/errors.hpp>
#include <sluice/postgres/detail/target.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/remote/descriptor.hpp>
#include <sluice/remote/stream.hpp>

namespace sluice::detail::postgres {

/// What came of a statement: an error, or the one value that it returned.
struct Answer {
    std::error_code error{};
    std::string sqlstate{};  ///< of an error that the server reported
    std::string value{};     ///< as text; empty for none and for null
};

/// One libpq connection that never blocks longer than a deadline: all calls are the non-blocking ones, with poll(2) in
/// between. A connection on which anything is left open is closed and never used again, since a late answer would be
/// taken for the next. One thread at a time.
class Connection {
public:
    using Deadline = detail::remote::Deadline;

    Connection() = default;
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection() { close(); }

    bool is_open() const noexcept { return connection_.load(std::memory_order_relaxed) != nullptr; }
    void close() noexcept {
        owes_answer_ = false;
        if (PGconn* const open = connection_.exchange(nullptr)) PQfinish(open);
    }
    /// In a forked child: without a farewell on the socket, which the parent goes on using. The memory is lost. A number that
    /// the child has closed and opened anew is not ours to close.
    void abandon() noexcept {
        PGconn* const open = connection_.exchange(nullptr);
        if (open != nullptr && socket_.is_of(PQsocket(open))) ::close(PQsocket(open));
    }

    /// The server has closed an idle connection, or sent what nobody asked for.
    bool is_stale() const noexcept {
        pollfd item{PQsocket(get()), POLLIN, 0};
        return ::poll(&item, 1, 0) != 0;
    }

    /// Connects and logs in. May throw std::bad_alloc.
    std::error_code dial(const Target& target, const Place& place, const Deadline& deadline) {
        close();
        connection_ = target.start(place);
        if (!is_open()) return Errc::no_memory;
        PQsetErrorVerbosity(get(), PQERRORS_SQLSTATE);  // else the message of a refusal is one in the server's language
        PQsetNoticeReceiver(
            get(), [](void*, const PGresult*) {}, nullptr);
        auto error = log_in(deadline);
        if (!error && PQsetnonblocking(get(), 1) != 0) error = Errc::disconnected;
        if (error) {
            close();
        } else {
            socket_ = detail::remote::FileIdentity{PQsocket(get())};
        }
        return error;
    }

    /// Runs SQL. Closes the connection unless it may be used again. May throw std::bad_alloc.
    void run(const std::string& sql, const Deadline& deadline, Answer& answer) {
        answer = {};
        if (PQsendQuery(get(), sql.c_str()) != 1) {
            answer.error = Errc::disconnected;
        } else {
            answer.error = receive(deadline, answer);
        }
        close_unless_idle(answer);
    }

    /// Sends SQL whose answer is fetched before the connection is used next.
    void run_later(const std::string& sql) noexcept {
        if (!is_open()) return;
        owes_answer_ = PQsendQuery(get(), sql.c_str()) == 1 && PQflush(get()) >= 0;
        if (!owes_answer_) close();
    }
    bool owes_answer() const noexcept { return owes_answer_; }
    void fetch_answer(const Deadline& deadline, Answer& answer) {
        answer = {};
        owes_answer_ = false;
        answer.error = receive(deadline, answer);
        close_unless_idle(answer);
    }

private:
    PGconn* get() const noexcept { return connection_.load(std::memory_order_relaxed); }

    void close_unless_idle(const Answer& answer) noexcept {
        const bool is_idle = PQstatus(get()) == CONNECTION_OK && PQtransactionStatus(get()) == PQTRANS_IDLE;
        if (!is_idle || classify(answer.sqlstate).concerns == ErrorReport::Concerns::connection) close();
    }

    std::error_code log_in(const Deadline& deadline) {
        if (PQstatus(get()) == CONNECTION_BAD) return Errc::refused;
        for (PostgresPollingStatusType status = PGRES_POLLING_WRITING; status != PGRES_POLLING_OK;) {
            if (status == PGRES_POLLING_FAILED) return refusal();
            if (const auto error = wait(status == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline)) return error;
            status = PQconnectPoll(get());
        }
        return {};
    }

    Errc refusal() const {
        if (const auto sqlstate = sqlstate_in(PQerrorMessage(get())); !sqlstate.empty()) return classify(sqlstate).code;
        if (PQconnectionNeedsPassword(get()) != 0) return Errc::authentication;
        // Logged in, and yet not what was asked for: target_session_attrs.
        if (PQparameterStatus(get(), "server_version") != nullptr) return Errc::read_only;
        return Errc::refused;
    }

    std::error_code receive(const Deadline& deadline, Answer& answer) {
        for (int unsent = PQflush(get()); unsent != 0; unsent = PQflush(get())) {
            if (unsent < 0) return Errc::disconnected;
            if (const auto error = wait(POLLIN | POLLOUT, deadline)) return error;
            if (PQconsumeInput(get()) != 1) return Errc::disconnected;
        }
        std::error_code error;
        for (;;) {
            while (PQisBusy(get()) != 0) {
                if (const auto late = wait(POLLIN, deadline)) return late;
                if (PQconsumeInput(get()) != 1) return Errc::disconnected;
            }
            const std::unique_ptr<PGresult, void (*)(PGresult*)> result{PQgetResult(get()), PQclear};
            if (!result) return error;
            if (!error) error = read(*result, answer);
        }
    }

    static std::error_code read(const PGresult& result, Answer& answer) {
        switch (PQresultStatus(&result)) {
            case PGRES_COMMAND_OK: return {};
            case PGRES_TUPLES_OK:
                if (PQntuples(&result) == 1 && PQnfields(&result) == 1) {
                    answer.value.assign(PQgetvalue(&result, 0, 0),
                                        static_cast<std::size_t>(PQgetlength(&result, 0, 0)));
                }
                return {};
            case PGRES_FATAL_ERROR: {
                const char* const sqlstate = PQresultErrorField(&result, PG_DIAG_SQLSTATE);
                if (sqlstate == nullptr) return Errc::disconnected;
                answer.sqlstate = sqlstate;
                return classify(answer.sqlstate).code;
            }
            default: return Errc::protocol;
        }
    }

    std::error_code wait(int events, const Deadline& deadline) const noexcept {
        return detail::remote::wait_for(PQsocket(get()), events, deadline);
    }

    detail::remote::FileIdentity socket_{};
    bool owes_answer_ = false;
    std::atomic<PGconn*> connection_{nullptr};  // atomic for the sake of is_open() in statistics
};

}  // namespace sluice::detail::postgres

#endif
