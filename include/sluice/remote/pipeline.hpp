// SPDX-License-Identifier: MIT
#ifndef SLUICE_REMOTE_PIPELINE_HPP
#define SLUICE_REMOTE_PIPELINE_HPP

#include <memory>
#include <utility>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/policy.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/store.hpp>

namespace sluice::detail::remote {

/// A RemoteStore's requests of several scopes and policies that go together: see PipelineStore. The backend has
///
///     typename Together;
///     template <Policy P>
///     void add(Together&, const Request<P>&, Consumption&);   // may throw; the key fits
///     void run(Together&, const Deadline&);                   // may throw before anything was sent
template <class Backend>
class Pipeline {
public:
    explicit Pipeline(std::shared_ptr<Backend> backend) noexcept : backend_(std::move(backend)) {}

    template <Policy P>
    void add(const Request<P>& request, Consumption& out) {
        outs_.push_back(&out);
        out = {};
        if (request.key.size() <= Backend::max_key_bytes) {
            backend_->add(together_, request, out);
        } else {
            out.decision = failure(Errc::invalid_argument);
        }
    }

    /// In the time that one call has.
    void run() noexcept {
        try {
            backend_->run(together_, Deadline{backend_->timeout()});
        } catch (...) {
            for (Consumption* out : outs_) {
                if (!out->decision.error) out->decision = failure(Errc::no_memory);
            }
        }
        for (const Consumption* out : outs_) {
            if (out->decision.error) backend_->count_failure(out->decision.error);
        }
    }

private:
    std::shared_ptr<Backend> backend_;
    typename Backend::Together together_{};
    std::vector<Consumption*> outs_{};
};

}  // namespace sluice::detail::remote

#endif
