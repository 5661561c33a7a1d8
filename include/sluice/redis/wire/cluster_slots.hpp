// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_WIRE_CLUSTER_SLOTS_HPP
#define SLUICE_REDIS_WIRE_CLUSTER_SLOTS_HPP

#include <hiredis/read.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/redis/wire/errors.hpp>
#include <sluice/redis/wire/exchange.hpp>
#include <sluice/redis/wire/hiredis_reader.hpp>
#include <sluice/redis/wire/host_port.hpp>
#include <sluice/redis/wire/slot.hpp>

namespace sluice::detail::redis {

/// Which master some slots are said to belong to.
struct SlotRange {
    std::uint16_t first = 0;
    std::uint16_t last = 0;
    HostPort master{};
};

/// Asks a node of a cluster for its map of slots: CLUSTER SLOTS, a list of [first, last, master, replicas...] with nodes
/// of [host, port, id, [name, value, ...]]. Used as a Login. A node that does not know its own host (nil, or empty) is
/// the one that was asked, by whatever host it was asked; one without the kind of host that the cluster prefers ("?")
/// tells its address among the names and values, or is left out.
class ClusterSlots {
public:
    using Want = Exchange::Want;

    static constexpr std::size_t max_bytes = 4'194'304;  ///< every slot on its own, with some replicas
    static constexpr std::size_t max_elements = slot_count;

    /// `asked_host`: by which the node that is asked was reached.
    explicit ClusterSlots(std::string asked_host) : asked_host_(std::move(asked_host)), reader_(this) {}
    ClusterSlots(const ClusterSlots&) = delete;
    ClusterSlots& operator=(const ClusterSlots&) = delete;

    Want want() const noexcept {
        if (sent_ != request.size()) return Want::send;
        return is_complete_ ? Want::done : Want::receive;
    }
    std::string_view output() const noexcept { return request.substr(sent_); }
    void sent(std::size_t count) noexcept { sent_ += count; }

    /// An error means that the connection is of no use, or the node none of a cluster.
    std::error_code feed(std::string_view bytes) {
        void* parsed = nullptr;
        if (!reader_.feed(bytes) || !reader_.next(parsed)) return Errc::protocol;
        if (parsed == nullptr) return {};
        is_complete_ = true;
        if (!error_line_.empty()) return classify(error_line_).code;
        if (parsed != this || !is_array_ || !reader_.is_drained()) return Errc::protocol;
        const auto is_wrong = [](const SlotRange& range) {
            return range.first > range.last || range.last >= slot_count || !range.master.is_known() ||
                   range.master.host.empty() || range.master.host == placeholder;
        };
        ranges_.erase(std::remove_if(ranges_.begin(), ranges_.end(), is_wrong), ranges_.end());
        return {};
    }

    /// Those whose master is known.
    std::span<const SlotRange> ranges() const noexcept { return ranges_; }

private:
    static constexpr std::string_view placeholder = "?";
    static constexpr std::string_view request = "*2\r\n$7\r\nCLUSTER\r\n$5\r\nSLOTS\r\n";

    friend class HiredisReader<ClusterSlots>;

    static ClusterSlots& self(const redisReadTask* task) noexcept {
        return *static_cast<ClusterSlots*>(task->privdata);
    }

    /// The third element of a range is its master.
    static bool is_of_master(const redisReadTask* node) noexcept { return node->idx == 2; }

    template <class Size>
    static void* on_array(const redisReadTask* task, Size elements) noexcept {
        const int level = depth(task);
        if (task->type != REDIS_REPLY_ARRAY || level > 3 || static_cast<std::size_t>(elements) > max_elements)
            return nullptr;
        ClusterSlots& answer = self(task);
        if (level == 0) answer.is_array_ = true;
        if (level != 1) return &answer;
        if (answer.ranges_.size() == max_elements) return nullptr;
        try {
            answer.ranges_.push_back({});
        } catch (...) {
            return nullptr;
        }
        return &answer;
    }

    static void* on_integer(const redisReadTask* task, long long value) noexcept {
        ClusterSlots& answer = self(task);
        const int level = depth(task);
        const auto small = static_cast<std::uint16_t>(value);
        if (value < 0 || value > 65'535 || level < 2) return nullptr;
        SlotRange& range = answer.ranges_.back();
        if (level == 2 && task->idx == 0) range.first = small;
        if (level == 2 && task->idx == 1) range.last = small;
        if (level == 3 && task->idx == 1 && is_of_master(task->parent)) range.master.port = small;
        return &answer;
    }

    static void* on_string(const redisReadTask* task, char* text, std::size_t size) noexcept {
        try {
            return self(task).take(task, {text, size}) ? &self(task) : nullptr;
        } catch (...) {
            return nullptr;
        }
    }
    static void* on_nil(const redisReadTask* task) noexcept { return on_string(task, nullptr, 0); }

    bool take(const redisReadTask* task, std::string_view text) {
        const int level = depth(task);
        if (level == 0) {
            error_line_ = text.substr(0, 256);
            return task->type == REDIS_REPLY_ERROR;
        }
        if (level < 3) return false;
        HostPort& master = ranges_.back().master;
        if (level == 3 && task->idx == 0 && is_of_master(task->parent))
            return set_host(master, text.empty() ? std::string_view{asked_host_} : text);
        if (level == 4 && master.host == placeholder && is_of_master(task->parent->parent)) {
            if (task->idx % 2 == 0) {
                names_address_ = text == "ip";
            } else if (names_address_ && !text.empty()) {
                return set_host(master, text);
            }
        }
        return true;
    }
    static bool set_host(HostPort& master, std::string_view host) {
        if (host.size() > HostPort::max_host) return false;
        master.host = host;
        return true;
    }

    std::string asked_host_;
    std::size_t sent_ = 0;
    bool is_complete_ = false;
    bool is_array_ = false;
    std::string error_line_{};
    std::vector<SlotRange> ranges_{};
    bool names_address_ = false;  // the next value is one
    HiredisReader<ClusterSlots> reader_;
};

}  // namespace sluice::detail::redis

#endif
