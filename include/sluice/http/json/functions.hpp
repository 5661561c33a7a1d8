// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_JSON_FUNCTIONS_HPP
#define SLUICE_HTTP_JSON_FUNCTIONS_HPP

#include <functional>
#include <map>
#include <string>

#include <sluice/http/asked.hpp>
#include <sluice/http/rules/cost.hpp>
#include <sluice/http/rules/key_source.hpp>

namespace sluice::http {

/// What a rules file may call by name. Called by many threads at once.
struct RulesFunctions {
    std::map<std::string, KeySource::Function> keys{};                 ///< {"key": [{"function": "tenant"}]}
    std::map<std::string, Cost::Function> costs{};                     ///< {"cost": {"function": "tokens"}}
    std::map<std::string, std::function<bool(const Asked&)>> skips{};  ///< {"skip": "is_internal"}
};

}  // namespace sluice::http

#endif
