// SPDX-License-Identifier: MIT
#ifndef SLUICE_POSTGRES_HPP
#define SLUICE_POSTGRES_HPP

// The Postgres store, beside <sluice/sluice.hpp>. Needs libpq 12 or later.

#include <sluice/detail/cpp20.hpp>

#include <sluice/postgres/postgres_options.hpp>
#include <sluice/postgres/postgres_policy.hpp>
#include <sluice/postgres/postgres_stats.hpp>
#include <sluice/postgres/postgres_store.hpp>
#include <sluice/postgres/schema.hpp>

#endif
