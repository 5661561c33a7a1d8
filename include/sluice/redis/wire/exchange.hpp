// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_WIRE_EXCHANGE_HPP
#define SLUICE_REDIS_WIRE_EXCHANGE_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/redis/wire/call_set.hpp>
#include <sluice/redis/wire/errors.hpp>
#include <sluice/redis/wire/redirection.hpp>
#include <sluice/redis/wire/reply.hpp>
#include <sluice/redis/wire/resp.hpp>
#include <sluice/redis/wire/script.hpp>

namespace sluice::detail::redis {

/// The protocol of one connection without the connection: what to send for a set of calls, and what the bytes mean that
/// come back. All runs are written before the first reply is read. What a request did is unknown once its first byte
/// has left, so from there on nothing is sent again, except a script that the server did not know.
///
///     exchange.begin(calls);
///     while (exchange.want() != Exchange::Want::done) ... send output(), tell sent(); receive, feed()
///
/// All but the const functions may throw std::bad_alloc, after which the connection is of no more use. One thread at a
/// time.
class Exchange {
public:
    enum class Want : std::uint8_t { send, receive, done };

    /// A new connection: nothing that the last one said counts.
    void reset() {
        reader_.emplace();
        has_heard_ = false;
    }

    /// The set must not change until the exchange is done or failed.
    void begin(CallSet& calls) {
        calls_ = &calls;
        output_.clear();
        sent_ = 0;
        expected_.clear();
        next_ = 0;
        brought_.clear();
        trouble_.reset();
        scripts_ = decisions_ = 0;
        for (std::size_t run = 0; run != calls.runs_.size(); ++run) {
            if (calls.runs_[run].decisions != 0) write(run);
        }
    }

    Want want() const noexcept {
        if (sent_ != output_.size()) return Want::send;
        return next_ == expected_.size() ? Want::done : Want::receive;
    }
    std::string_view output() const noexcept { return std::string_view{output_}.substr(sent_); }
    void sent(std::size_t count) noexcept { sent_ += count; }
    /// Not a byte has left: certainly nothing was done.
    bool is_unsent() const noexcept { return sent_ == 0; }

    /// What arrived, at most 16 KiB at a time. An error means that the connection is of no more use.
    std::error_code feed(std::string_view bytes) {
        if (!has_heard_ && is_tls_record(bytes)) return Errc::misconfigured;
        has_heard_ = true;
        if (const auto error = reader_->feed(bytes)) return error;
        while (next_ != expected_.size()) {
            const Reply* reply = nullptr;
            if (const auto error = reader_->next(reply)) return error;
            if (reply == nullptr) return {};
            if (const auto error = take(*reply, expected_[next_++])) return error;
        }
        return reader_->is_drained() ? std::error_code{} : make_error_code(Errc::protocol);
    }

    /// The connection broke, or there was no time: answers all calls that have no answer.
    void fail(std::error_code error) noexcept {
        // A server that turns clients away tells so, and then closes.
        if (trouble_ && trouble_->concerns >= ErrorReply::Concerns::connection) error = trouble_->code;
        for (auto& call : calls_->calls_) {
            if (!call.is_answered) call.error = error;
            call.is_answered = true;
        }
    }

    /// The worst error reply that concerns more than one request.
    const std::optional<ErrorReply>& trouble() const noexcept { return trouble_; }
    std::size_t scripts() const noexcept { return scripts_; }      ///< runs sent
    std::size_t decisions() const noexcept { return decisions_; }  ///< answered

private:
    using Entry = CallSet::Entry;
    using Run = CallSet::Run;
    static constexpr std::size_t reply_to_asking = static_cast<std::size_t>(-1);

    void write(std::size_t index) {
        Run& run = calls_->runs_[index];
        const Script& script = script_of(run);
        if (run.asking) {
            // In one write, and with the script's text: an answer that it is not known would use the ASKING up.
            append_head(output_, 1);
            append_argument(output_, std::string_view{"ASKING"});
            expected_.push_back(reply_to_asking);
            run.is_unknown = true;
        }
        bool same_units = true;
        std::string_view units;
        each_open(run, [&](const Entry& call) {
            if (units.empty()) units = calls_->texts_[call.units];
            same_units = same_units && calls_->texts_[call.units] == units;
        });
        const std::size_t keys = run.decisions * run.keys_each;
        append_head(output_, 3 + keys + run.common_count + (same_units ? 1 : run.decisions));
        output_ += run.is_unknown ? script.by_text : script.by_sha;
        append_argument(output_, keys);
        each_open(run, [&](const Entry& call) { output_ += calls_->texts_[call.keys]; });
        output_ += calls_->texts_[run.common];
        if (same_units) {
            output_ += units;
        } else {
            each_open(run, [&](const Entry& call) {
                for (std::size_t i = 0; i != call.decisions; ++i) output_ += calls_->texts_[call.units];
            });
        }
        expected_.push_back(index);
        ++scripts_;
    }

    std::error_code take(const Reply& reply, std::size_t index) {
        const bool is_error = reply.kind == Reply::Kind::error;
        if (index == reply_to_asking) {
            asking_refusal_ = is_error ? std::optional{classify(reply.text)} : std::nullopt;
            return {};
        }
        Run& run = calls_->runs_[index];
        if (is_error && !run.is_unknown && reply.text.starts_with("NOSCRIPT")) {
            repeat(run, index);
            return {};
        }
        if (is_error) {
            auto redirection = Redirection::parse(reply.text);
            const bool is_refusal = run.asking && asking_refusal_ && redirection.kind != Redirection::Kind::none;
            if (is_refusal) redirection = {};
            refuse(run, is_refusal ? *asking_refusal_ : classify(reply.text), redirection);
            return {};
        }
        if (reply.kind != Reply::Kind::integers) return Errc::protocol;
        std::span<const std::int64_t> integers{reply.integers};
        bool is_valid = true;
        each_open(run, [&](Entry& call) {
            is_valid = is_valid && read_answers(calls_->values(call, run.values_each), run.values_each, integers);
        });
        // Behind them, the numbers of decisions whose key turned out to be foreign.
        for (const std::int64_t number : integers) is_valid = is_valid && mark_wrong_type(run, number);
        if (!is_valid) return Errc::protocol;
        each_open(run, [](Entry& call) { call.is_answered = true; });
        decisions_ += run.decisions;
        return {};
    }

    static const Script& script_of(const Run& run) noexcept {
        return run.decisions == 1 ? run.scripts->single : run.scripts->batch;
    }

    /// The server did not know the script. One run brings its text along; those behind it will find it there.
    void repeat(Run& run, std::size_t index) {
        const Script* const script = &script_of(run);
        run.is_unknown = run.was_repeated || std::find(brought_.begin(), brought_.end(), script) == brought_.end();
        run.was_repeated = true;
        if (run.is_unknown) brought_.push_back(script);
        write(index);
    }

    void refuse(const Run& run, const ErrorReply& why, const Redirection& redirection) {
        each_open(run, [&](Entry& call) {
            call.error = why.code;
            call.redirection = redirection;
            call.is_answered = true;
        });
        if (why.concerns == ErrorReply::Concerns::request) return;
        if (!trouble_ || why.concerns > trouble_->concerns) trouble_ = why;
    }

    /// Takes a call's answers off the front of `from`; false if they do not fit what was asked.
    static bool read_answers(std::span<std::int64_t> values, std::size_t each,
                             std::span<const std::int64_t>& from) noexcept {
        for (; !values.empty(); values = values.subspan(each)) {
            if (from.empty()) return false;
            const bool is_ours = from.front() != ScriptCall::wrong_type;
            const std::size_t count = is_ours ? each : 1;
            if (from.size() < count) return false;
            const auto answer = from.first(count);
            const auto is_wrong = [](std::int64_t value) { return value < 0 || value > ScriptCall::max_value; };
            if (is_ours && std::any_of(answer.begin(), answer.end(), is_wrong)) return false;
            std::copy(answer.begin(), answer.end(), values.begin());
            from = from.subspan(count);
        }
        return true;
    }

    bool mark_wrong_type(const Run& run, std::int64_t number) noexcept {
        if (number < 1) return false;
        auto index = static_cast<std::size_t>(number - 1);
        bool is_marked = false;
        each_open(run, [&](Entry& call) {
            if (is_marked) return;
            if (index < call.decisions) {
                calls_->values(call, run.values_each)[index * run.values_each] = ScriptCall::wrong_type;
                is_marked = true;
            }
            index -= call.decisions;
        });
        return is_marked;
    }

    /// The calls of a run that wait for an answer.
    template <class F>
    void each_open(const Run& run, F f) {
        for (auto at = run.first; at != CallSet::none; at = calls_->calls_[at].next) {
            if (!calls_->calls_[at].is_answered) f(calls_->calls_[at]);
        }
    }

    CallSet* calls_ = nullptr;
    std::string output_;  // kept from one exchange to the next, so that it allocates no more
    std::size_t sent_ = 0;
    std::vector<std::size_t> expected_;  // whose replies come, in order: indices of runs, and replies to ASKING
    std::size_t next_ = 0;
    std::optional<ReplyReader> reader_;
    bool has_heard_ = false;
    std::vector<const Script*> brought_;        // sent as text, because they were not known
    std::optional<ErrorReply> asking_refusal_;  // of the last ASKING
    std::optional<ErrorReply> trouble_;
    std::size_t scripts_ = 0;
    std::size_t decisions_ = 0;
};

}  // namespace sluice::detail::redis

#endif
