// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_STATE_SWAP_HPP
#define SLUICE_REDIS_STATE_SWAP_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/redis/link/topology.hpp>
#include <sluice/redis/redis_policy.hpp>
#include <sluice/redis/wire/call.hpp>
#include <sluice/redis/wire/encoded_keys.hpp>
#include <sluice/redis/wire/resp.hpp>
#include <sluice/redis/wire/script.hpp>
#include <sluice/remote/cas_store.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/store.hpp>

namespace sluice::detail::redis {

/// Compare and swap of states (see remote/cas_store.hpp). A key holds a text: of each integer its upper and its lower half,
/// ten digits each, since scripts answer with integers from 0 to 2^53.
class StateSwap {
public:
    using StateCell = detail::remote::StateCell;
    using StateCells = detail::remote::StateCells;

    StateSwap(const std::string& key_prefix, const StateCells& asked, bool has_slots, std::int64_t min_life_ms)
        : asked_(asked), width_(2 + 2 * asked.fresh.size()),
          each_(has_slots || !asked.cells[0]->next.empty() ? 1
                                                           : std::min(ScriptCall::max_decisions, max_values / width_)) {
        const std::size_t count = (asked.cells.size() + each_ - 1) / each_;
        values_.resize(asked.cells.size() * width_);
        arguments_.reserve(count);
        keys_.reserve(count);
        std::vector<std::string_view> names;
        for (std::size_t done = 0; done < asked.cells.size(); done += each_) {
            const auto cells = cells_from(done);
            names.clear();
            for (const StateCell* const cell : cells) names.push_back(cell->key);
            keys_.emplace_back(key_prefix, 1, names, Operation::peek, 0);
            add_arguments(*cells[0], min_life_ms);
            ScriptCall& call = calls_.emplace_back();
            call.scripts = &scripts();
            call.common = &arguments_.back();
            call.keys = keys_.back().keys();
            call.units = keys_.back().units();
            call.values_each = width_;
            call.decisions = cells.size();
            call.values = std::span{values_}.subspan(done * width_, cells.size() * width_);
            if (has_slots) call.slot = keys_.back().slot();
        }
    }

    void run(Topology& topology, const Topology::Deadline& deadline) {
        topology.run(calls_, deadline);
        for (std::size_t i = 0; i != asked_.cells.size(); ++i) {
            const ScriptCall& call = calls_[i / each_];
            if (call.error) {
                asked_.cells[i]->error = call.error;
            } else {
                read(call.values.subspan(i % each_ * width_, width_), *asked_.cells[i]);
            }
        }
    }

private:
    // KEYS   any number to read, or one to set
    // ARGV   what a key holds that holds nothing; then, of one to set, what it has to hold, what comes in its place and for
    //        how many ms; a number without meaning
    // reply  for each key: 1 if it was set, the time in us, and what it held; -1 where that is not ours
    static constexpr std::string_view lua =
        R"lua(local fresh, expected, after, life = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local shape = string.gsub(fresh, '%d', '0')
local replies = {}
for i = 1, #KEYS do
  local state = redis.pcall('GET', KEYS[i]) or fresh
  if type(state) == 'table' and not string.find(state.err, 'WRONGTYPE') then return state end
  if type(state) == 'table' or string.gsub(state, '%d', '0') ~= shape then
    replies[i] = '-1'
  else
    local sets = life and state == expected
    if sets then redis.call('SET', KEYS[i], after, 'PX', life) end
    replies[i] = string.format('%d %d %s', sets and 1 or 0, now, state)
  end
end
return table.concat(replies, ' ')
)lua";

    static constexpr std::size_t max_values = 4'096;  // in one reply

    static const Scripts& scripts() {
        static const Scripts& made = *new Scripts{lua, lua};
        return made;
    }

    std::span<StateCell* const> cells_from(std::size_t first) const noexcept {
        return asked_.cells.subspan(first, std::min(each_, asked_.cells.size() - first));
    }

    void add_arguments(const StateCell& cell, std::int64_t min_life_ms) {
        Arguments& out = arguments_.emplace_back();
        out.add(std::string_view{text_of(asked_.fresh)});
        if (cell.next.empty()) return;
        out.add(std::string_view{text_of(cell.state)});
        out.add(std::string_view{text_of(cell.next)});
        out.add(life_ms(cell.life, min_life_ms));
    }

    static std::string text_of(std::span<const std::int64_t> state) {
        std::string text;
        const auto append = [&](std::uint64_t half) {
            const std::string digits = std::to_string(half);
            if (!text.empty()) text += ' ';
            text.append(10 - digits.size(), '0');
            text += digits;
        };
        for (const std::int64_t number : state) {
            append(static_cast<std::uint64_t>(number) >> 32);
            append(static_cast<std::uint64_t>(number) & 0xffffffff);
        }
        return text;
    }

    void read(std::span<const std::int64_t> answer, StateCell& cell) const noexcept {
        if (answer[0] == ScriptCall::wrong_type) {
            cell.error = Errc::wrong_type;
            return;
        }
        cell.is_swapped = answer[0] == 1;
        if (cell.is_swapped) return;
        cell.now = asked_.now ? *asked_.now : from_us(answer[1]);
        for (std::size_t i = 0; i != cell.state.size(); ++i) {
            const auto half = [&](std::size_t index) { return static_cast<std::uint64_t>(answer[2 + index]); };
            cell.state[i] = static_cast<std::int64_t>(half(2 * i) << 32 | (half(2 * i + 1) & 0xffffffff));
        }
    }

    const StateCells& asked_;
    const std::size_t width_;  ///< integers in an answer
    const std::size_t each_;   ///< cells in a call
    std::vector<std::int64_t> values_;
    std::vector<Arguments> arguments_;
    std::vector<EncodedKeys> keys_;
    std::vector<ScriptCall> calls_;
};

}  // namespace sluice::detail::redis

#endif
