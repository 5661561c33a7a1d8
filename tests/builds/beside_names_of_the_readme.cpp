// SPDX-License-Identifier: MIT
// A program's globals may have the names that the README gives its variables.

extern int limiter, store, redis, postgres, api, policy, key, keys, decision, decisions, tested, guard, rules, rule,
    limits, options, registry, counters, request, response, server, app, name, cost, units, state, now, d, r, n;

#include "all_headers.hpp"
