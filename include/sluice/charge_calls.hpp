// SPDX-License-Identifier: MIT
#ifndef SLUICE_CHARGE_CALLS_HPP
#define SLUICE_CHARGE_CALLS_HPP

#include <chrono>
#include <cstdint>
#include <memory>
#include <string_view>

#include <sluice/decision.hpp>
#include <sluice/policy.hpp>
#include <sluice/rate_limiter.hpp>
#include <sluice/settling.hpp>
#include <sluice/store.hpp>

// What try_consume_all asks of a limiter whose policy and store it does not know.
namespace sluice::detail {

/// A PipelineStore's pipeline.
class AnyPipeline {
public:
    virtual ~AnyPipeline() = default;
    virtual void run() noexcept = 0;
};

template <class S>
struct PipelineOf final : AnyPipeline {
    explicit PipelineOf(const S& store) : pipeline(store.pipeline()) {}
    void run() noexcept override { pipeline.run(); }
    typename S::Pipeline pipeline;
    static constexpr char type = 0;  // its address tells types of stores apart
};

/// Stores whose requests may go into one pipeline have the same; without a pipeline both are null.
struct PipelineId {
    const void* type = nullptr;  // of the pipeline
    const void* store = nullptr;
    friend bool operator==(const PipelineId&, const PipelineId&) = default;
};

/// A charge's limiter, key and cost, as the functions of the limiter's type take them.
struct ChargeView {
    const void* limiter;
    std::string_view key;
    std::uint64_t cost;
};

struct ChargeCalls {
    bool is_in_process;
    PipelineId (*pipeline_id)(const void* limiter) noexcept;
    std::unique_ptr<AnyPipeline> (*pipeline)(const void* limiter);  // may throw
    /// Without a pipeline the store is asked at once. With one, `out` is set when that has run; may throw.
    void (*consume)(const ChargeView&, AnyPipeline*, Consumption& out);
    void (*give_back)(const ChargeView&, AnyPipeline*, const Consumption& taken, Consumption& out);
    Decision (*peek)(const ChargeView&) noexcept;
    void (*resolve)(const ChargeView&, Decision&) noexcept;  // an error by the failure mode
    void (*report)(const ChargeView&, const Decision&, std::chrono::nanoseconds latency) noexcept;
    std::uint64_t (*limit)(const void* limiter) noexcept;
};

template <Policy P, class S>
struct ChargeCallsOf {
    using Limiter = RateLimiter<P, S>;

    static const Limiter& limiter(const void* erased) noexcept { return *static_cast<const Limiter*>(erased); }

    static Request<P> request(const ChargeView& charge) noexcept {
        // Cost 0 changes nothing, and so makes no state.
        return {limiter(charge.limiter).scope(), charge.key, charge.cost,
                charge.cost == 0 ? Operation::peek : Operation::consume};
    }
    static void ask(const ChargeView& charge, const Request<P>& request, [[maybe_unused]] AnyPipeline* pipeline,
                    Consumption& out) {
        const S& store = limiter(charge.limiter).store();
        if constexpr (PipelineStore<S>) {
            if (pipeline != nullptr) {
                static_cast<PipelineOf<S>*>(pipeline)->pipeline.add(request, out);
                return;
            }
        }
        if (request.operation == Operation::consume) {
            out = detail::consume(store, request);
        } else {
            out.decision = store.decide(request);
        }
    }

    static PipelineId pipeline_id([[maybe_unused]] const void* erased) noexcept {
        if constexpr (PipelineStore<S>) {
            return {&PipelineOf<S>::type, limiter(erased).store().pipeline_id()};
        } else {
            return {};
        }
    }
    static std::unique_ptr<AnyPipeline> pipeline([[maybe_unused]] const void* erased) {
        if constexpr (PipelineStore<S>) {
            return std::make_unique<PipelineOf<S>>(limiter(erased).store());
        } else {
            return nullptr;
        }
    }
    static void consume(const ChargeView& charge, AnyPipeline* pipeline, Consumption& out) {
        ask(charge, request(charge), pipeline, out);
    }
    static void give_back(const ChargeView& charge, AnyPipeline* pipeline, const Consumption& taken, Consumption& out) {
        ask(charge, giving_back<P, S>(request(charge), taken), pipeline, out);
    }
    static Decision peek(const ChargeView& charge) noexcept {
        Request<P> only_peek = request(charge);
        only_peek.operation = Operation::peek;
        return limiter(charge.limiter).store().decide(only_peek);
    }
    static void resolve(const ChargeView& charge, Decision& decision) noexcept {
        const Limiter& mine = limiter(charge.limiter);
        mine.apply_failure_mode(decision, mine.policy(), charge.cost);
    }
    static void report(const ChargeView& charge, const Decision& decision, std::chrono::nanoseconds latency) noexcept {
        const Limiter& mine = limiter(charge.limiter);
        if (mine.options_.observer) mine.report(charge.key, charge.cost, decision, latency);
    }
    static std::uint64_t limit(const void* erased) noexcept { return limiter(erased).quota().limit; }

    static constexpr ChargeCalls table{InProcessStore<S>, pipeline_id, pipeline, consume, give_back, peek,
                                       resolve,           report,      limit};
};

struct ChargedLimiter {
    template <Policy P, class S>
    static ChargedLimiter of(const RateLimiter<P, S>& limiter) noexcept {
        return {&limiter, &ChargeCallsOf<P, S>::table};
    }
    const void* limiter;
    const ChargeCalls* calls;
};

}  // namespace sluice::detail

#endif
