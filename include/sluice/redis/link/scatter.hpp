// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_LINK_SCATTER_HPP
#define SLUICE_REDIS_LINK_SCATTER_HPP

#include <poll.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/redis/link/node.hpp>
#include <sluice/redis/wire/call.hpp>
#include <sluice/remote/breaker.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/remote/stream.hpp>

namespace sluice::detail::redis {

/// One thread's calls to several servers at once: all are written before the first answer is read, and each server's
/// connection is given back as soon as it has answered, so that one that is slow holds up none of the others.
class Scatter {
public:
    using Deadline = detail::remote::Deadline;

    /// What goes to one server.
    struct Part {
        Combiner* combiner = nullptr;
        bool is_doubted = false;  ///< it may not even accept the connection
        std::span<ScriptCall> calls{};

    private:
        friend class Scatter;
        enum class Stage : std::uint8_t { waiting, taken, under_way, answered };
        Stage stage_ = Stage::waiting;
        detail::remote::Breaker::Permit permit_{};
        Lane* lane_ = nullptr;
    };

    /// All calls are answered afterwards.
    static void run(std::span<Part> parts, const Deadline& deadline) {
        std::vector<pollfd> descriptors(parts.size());
        for (Part& part : parts) {
            part.permit_ = part.combiner->admit(part.calls, deadline);
            if (part.permit_ == detail::remote::Breaker::Permit::none) part.stage_ = Part::Stage::answered;
        }
        for (;;) {
            const bool has_taken = take_lanes(parts);
            if (!has_taken) {
                const auto first = std::find_if(parts.begin(), parts.end(), is_waiting);
                if (first == parts.end()) return;
                // All lanes of all servers that are left are in use: wait for one like everybody else.
                const auto left = std::count_if(parts.begin(), parts.end(), is_waiting);
                first->stage_ = Part::Stage::answered;
                first->combiner->run(first->calls, deadline.share(static_cast<int>(left)), first->permit_);
                continue;
            }
            begin(parts, deadline);
            finish(parts, descriptors, deadline);
        }
    }

private:
    static bool is_waiting(const Part& part) noexcept { return part.stage_ == Part::Stage::waiting; }

    static bool take_lanes(std::span<Part> parts) noexcept {
        bool any = false;
        for (Part& part : parts) {
            if (part.stage_ != Part::Stage::waiting) continue;
            part.lane_ = part.combiner->try_take();
            if (part.lane_ == nullptr) continue;
            const bool is_loaded = part.combiner->load(*part.lane_, part.calls, part.permit_);
            part.stage_ = is_loaded ? Part::Stage::taken : Part::Stage::answered;
            any = true;
        }
        return any;
    }

    /// Those first that are open and need no dialling; those last that may not answer, with a share of the time.
    static void begin(std::span<Part> parts, const Deadline& deadline) noexcept {
        for (const int turn : {0, 1, 2}) {
            for (Part& part : parts) {
                if (part.stage_ != Part::Stage::taken) continue;
                const int mine = part.is_doubted ? 2 : part.lane_->is_open ? 0 : 1;
                if (mine == turn) begin_one(part, part.is_doubted ? deadline.share(2) : deadline);
            }
        }
    }
    static void begin_one(Part& part, const Deadline& deadline) noexcept {
        part.stage_ = Part::Stage::under_way;
        if (!part.lane_->connection.begin(part.lane_->alone, deadline)) end(part, deadline);
    }

    static void end(Part& part, const Deadline& deadline) noexcept {
        const auto outcome = part.lane_->connection.end(deadline);
        part.combiner->conclude(*part.lane_, part.calls, outcome, part.permit_);
        part.lane_ = nullptr;
        part.stage_ = Part::Stage::answered;
    }

    static void finish(std::span<Part> parts, std::span<pollfd> descriptors, const Deadline& deadline) noexcept {
        using Status = detail::remote::Stream::Status;
        bool is_late = false;
        for (;;) {
            std::size_t open = 0;
            for (Part& part : parts) {
                if (part.stage_ != Part::Stage::under_way) continue;
                auto& connection = part.lane_->connection;
                // What has arrived is taken even if it is late.
                if (connection.advance() || is_late) {
                    end(part, deadline);
                    continue;
                }
                const bool writes = connection.wanted() == Status::wants_write;
                descriptors[open++] = {connection.descriptor(), static_cast<short>(writes ? POLLOUT : POLLIN), 0};
            }
            if (open == 0) return;
            const int ready = ::poll(descriptors.data(), static_cast<nfds_t>(open), deadline.poll_ms());
            is_late = ready <= 0 && deadline.has_passed();
        }
    }
};

}  // namespace sluice::detail::redis

#endif
