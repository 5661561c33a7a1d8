// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_JSON_RULES_ERROR_HPP
#define SLUICE_HTTP_JSON_RULES_ERROR_HPP

#include <stdexcept>
#include <string>

#include <sluice/detail/cpp20.hpp>

namespace sluice::http {

/// A rules file that cannot be used. The text names the file, the place in the document and the value.
class RulesError : public std::runtime_error {
public:
    RulesError(const std::string& file, const std::string& place, const std::string& why)
        : std::runtime_error(file + ": " + (place.empty() ? "" : place + ": ") + why) {}
};

}  // namespace sluice::http

#endif
