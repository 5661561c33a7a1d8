// SPDX-License-Identifier: MIT
#ifndef SLUICE_REDIS_WIRE_SCRIPT_HPP
#define SLUICE_REDIS_WIRE_SCRIPT_HPP

#include <string>
#include <string_view>

#include <sluice/redis/wire/resp.hpp>
#include <sluice/redis/wire/sha1.hpp>

namespace sluice::detail::redis {

/// The first two arguments, in RESP, of a request that runs a script.
struct Script {
    explicit Script(std::string_view text) {
        append_argument(by_text, std::string_view{"EVAL"});
        append_argument(by_text, text);
        append_argument(by_sha, std::string_view{"EVALSHA"});
        append_argument(by_sha, sha1_hex(text));
    }
    std::string by_text{};  ///< brings the text along
    std::string by_sha{};   ///< trusts the server to know it
};

/// Both scripts of a policy.
struct Scripts {
    template <class Frame>
    explicit Scripts(const Frame& frame) : single(frame.single()), batch(frame.batch()) {}
    Scripts(std::string_view for_one, std::string_view for_many) : single(for_one), batch(for_many) {}
    Script single;
    Script batch;
};

}  // namespace sluice::detail::redis

#endif
