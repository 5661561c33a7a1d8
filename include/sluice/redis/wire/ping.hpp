// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_WIRE_PING_HPP
#define SLUICE_REDIS_WIRE_PING_HPP

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>

#include <sluice/error.hpp>
#include <sluice/redis/wire/call.hpp>
#include <sluice/redis/wire/resp.hpp>
#include <sluice/redis/wire/script.hpp>

namespace sluice::detail::redis {

/// Asks for what every decision needs: to run a script, to read the server's clock, to store a new key. So a replica, a
/// full server and a user without rights are found out. Where the user may see it, also whether the server evicts
/// keys when it is full, which would forget what they used.
class Ping {
public:
    /// `suffix` chooses the slot of the key, where that matters.
    explicit Ping(std::string_view prefix, std::string_view suffix = {}) {
        append_argument(key_, key(prefix, suffix));
        append_argument(units_, std::string_view{"1"});
    }

    static std::string key(std::string_view prefix, std::string_view suffix) {
        return std::string{prefix} + ":ping" + std::string{suffix};
    }

    ScriptCall call() {
        static const Scripts& scripts = *new Scripts{text, text};
        ScriptCall call;
        call.scripts = &scripts;
        call.common = &common_;
        call.keys = key_;
        call.units = units_;
        call.decisions = 1;
        call.values = answer_;
        return call;
    }

    std::error_code result(const ScriptCall& answered) const noexcept {
        if (answered.error) return answered.error;
        return answer_[0] == 0 ? std::error_code{} : make_error_code(Errc::misconfigured);
    }

private:
    // KEYS: one of our own. Reply: 1 if a full server would evict keys, else 0.
    static constexpr std::string_view text = R"(redis.call('TIME')
redis.call('SET', KEYS[1], '1', 'PX', 1000)
local info = redis.pcall('INFO', 'memory')
if type(info) ~= 'string' then return 0 end
local is_bounded = not string.find(info, 'maxmemory:0\r', 1, true)
local evicts = not string.find(info, 'maxmemory_policy:noeviction', 1, true)
return is_bounded and evicts and 1 or 0
)";

    Arguments common_{};
    std::string key_{};
    std::string units_{};
    std::array<std::int64_t, 1> answer_{};
};

}  // namespace sluice::detail::redis

#endif
