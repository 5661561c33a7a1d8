// SPDX-License-Identifier: MIT
#ifndef SLUICE_CHARGE_CALLS_HPP
#define SLUICE_CHARGE_CALLS_HPP

#include <chrono>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

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

template <class Pipeline>
struct PipelineOf final : AnyPipeline {
    explicit PipelineOf(Pipeline made) : pipeline(std::move(made)) {}
    void run() noexcept override { pipeline.run(); }
    Pipeline pipeline;
    static constexpr char type = 0;  // its address tells types of pipelines apart
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
    /// What is to be done, in a pipeline, and after that has run; each without a Consumption to give back consumes.
    void (*add)(const ChargeView&, AnyPipeline&, const Consumption* to_give_back, Consumption& out);  // may throw
    void (*finish)(const ChargeView&, const Consumption* to_give_back, Consumption& out) noexcept;
    /// The same without a pipeline.
    void (*ask)(const ChargeView&, const Consumption* to_give_back, Consumption& out) noexcept;
    Decision (*peek)(const ChargeView&) noexcept;
    Decision (*carry)(const ChargeView&) noexcept;           // of a CarryingStore
    void (*resolve)(const ChargeView&, Decision&) noexcept;  // an error by the failure mode
    void (*report)(const ChargeView&, const Decision&, std::chrono::nanoseconds latency) noexcept;
    std::uint64_t (*limit)(const void* limiter) noexcept;
};

template <Policy P, class S>
struct ChargeCallsOf {
    using Limiter = RateLimiter<P, S>;

    static const Limiter& limiter(const void* erased) noexcept { return *static_cast<const Limiter*>(erased); }

    static const S& store(const void* erased) noexcept { return limiter(erased).store(); }

    static Request<P> request(const ChargeView& charge, const Consumption* to_give_back = nullptr) noexcept {
        // Cost 0 changes nothing, and so makes no state.
        const Request<P> consuming{limiter(charge.limiter).scope(), charge.key, charge.cost,
                                   charge.cost == 0 ? Operation::peek : Operation::consume};
        return to_give_back == nullptr ? consuming : giving_back<P, S>(consuming, *to_give_back);
    }
    static void add([[maybe_unused]] const ChargeView& charge, [[maybe_unused]] AnyPipeline& pipeline,
                    [[maybe_unused]] const Consumption* to_give_back, [[maybe_unused]] Consumption& out) {
        if constexpr (PipelineStore<S, P>) {
            auto& mine = static_cast<PipelineOf<StorePipeline<S>>&>(pipeline).pipeline;
            store(charge.limiter).add(mine, request(charge, to_give_back), out);
        }
    }
    static void finish([[maybe_unused]] const ChargeView& charge, [[maybe_unused]] const Consumption* to_give_back,
                       [[maybe_unused]] Consumption& out) noexcept {
        if constexpr (PipelineStore<S, P>) store(charge.limiter).finish(request(charge, to_give_back), out);
    }
    static void ask(const ChargeView& charge, const Consumption* to_give_back, Consumption& out) noexcept {
        const Request<P> asked = request(charge, to_give_back);
        if (asked.operation == Operation::consume) {
            out = detail::consume(store(charge.limiter), asked);
        } else {
            out.decision = store(charge.limiter).decide(asked);
        }
    }
    static PipelineId pipeline_id([[maybe_unused]] const void* erased) noexcept {
        if constexpr (PipelineStore<S, P>) {
            return {&PipelineOf<StorePipeline<S>>::type, store(erased).pipeline_id()};
        } else {
            return {};
        }
    }
    static std::unique_ptr<AnyPipeline> pipeline([[maybe_unused]] const void* erased) {
        if constexpr (PipelineStore<S, P>) {
            return std::make_unique<PipelineOf<StorePipeline<S>>>(store(erased).pipeline());
        } else {
            return nullptr;
        }
    }
    static Decision peek(const ChargeView& charge) noexcept {
        Request<P> only_peek = request(charge);
        only_peek.operation = Operation::peek;
        return store(charge.limiter).decide(only_peek);
    }
    static Decision carry(const ChargeView& charge) noexcept {
        Request<P> asked = request(charge);
        asked.operation = Operation::carry;
        return store(charge.limiter).decide(asked);
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

    static constexpr ChargeCalls table{InProcessStore<S>, pipeline_id, pipeline, add, finish, ask, peek, carry,
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
