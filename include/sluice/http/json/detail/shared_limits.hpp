// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_JSON_DETAIL_SHARED_LIMITS_HPP
#define SLUICE_HTTP_JSON_DETAIL_SHARED_LIMITS_HPP

#include <algorithm>
#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <sluice/http/json/detail/node.hpp>
#include <sluice/http/rules/limiter_factory.hpp>
#include <sluice/http/rules/rule.hpp>

namespace sluice::http::detail {

/// The limits of a file by name. Two rules whose limits have one name and one policy count in one bucket; an author who
/// copied a rule does not see that, and one who meant it does not see that a changed number parts them. So they have to
/// say "shared": true, all of them, and then there have to be at least two.
class SharedLimits {
public:
    void add(const JsonNode& node, std::size_t rule, const std::string& name, const AnyPolicy& policy,
             const std::vector<KeySource>& key, bool is_shared) {
        by_name_[name].push_back({node, rule, policy, key, is_shared});
    }

    /// Throws RulesError at the limit that has to be changed.
    void check() const {
        for (const auto& [name, limits] : by_name_) {
            for (auto limit = limits.begin(); limit != limits.end(); ++limit) {
                const auto meets = [&](const Entry& other) { return share_bucket(*limit, other); };
                const auto silent = [&](const Entry& other) {
                    return meets(other) && !(limit->is_shared && other.is_shared);
                };
                if (const auto other = std::find_if(limits.begin(), limit, silent); other != limit) {
                    limit->node.fail("limit \"" + name + "\" has the name and the policy of " + other->node.place() +
                                     ", so both rules count in one bucket: give it another name, put \"rule\" into its "
                                     "key, or write \"shared\": true in both");
                }
                if (limit->is_shared && std::none_of(limits.begin(), limits.end(), meets)) {
                    limit->node.fail("limit \"" + name +
                                     "\" says \"shared\": true, but no other rule has a limit of this name and policy");
                }
            }
        }
    }

private:
    struct Entry {
        JsonNode node;
        std::size_t rule;
        AnyPolicy policy;
        std::vector<KeySource> key;
        bool is_shared;
    };

    static bool share_bucket(const Entry& a, const Entry& b) {
        return a.rule != b.rule && may_be_equal(a.key, b.key) && is_same(a.policy, b.policy);
    }
    /// What a request does not have is counted by the address, so that keys of different parts may meet.
    static bool may_be_equal(const std::vector<KeySource>& a, const std::vector<KeySource>& b) {
        const auto has_rule = [](const std::vector<KeySource>& key) {
            return std::find(key.begin(), key.end(), KeySource{KeyPart::rule}) != key.end();
        };
        return a.empty() == b.empty() && !has_rule(a) && !has_rule(b);
    }
    static bool is_same(const AnyPolicy& a, const AnyPolicy& b) {
        return a.index() == b.index() && parameters(a) == parameters(b);
    }
    static std::vector<std::uint64_t> parameters(const AnyPolicy& policy) {
        return std::visit(
            [](const auto& p) {
                const auto all = p.parameters();
                return std::vector<std::uint64_t>(all.begin(), all.end());
            },
            policy);
    }

    std::map<std::string, std::vector<Entry>> by_name_{};
};

}  // namespace sluice::http::detail

#endif
