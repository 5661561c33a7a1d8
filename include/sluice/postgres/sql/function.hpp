// SPDX-License-Identifier: MIT
#ifndef SLUICE_POSTGRES_SQL_FUNCTION_HPP
#define SLUICE_POSTGRES_SQL_FUNCTION_HPP

#include <string_view>

// What PostgresStore needs in a database, as one would write it for a schema called sluice. The names end with a
// version: a release that changes one of these brings new names, and both can run side by side.
namespace sluice::detail::postgres::sql {

/// In PL/pgSQL. Every function runs with search_path = pg_catalog, pg_temp, whatever the caller's is: else an operator or
/// a function that somebody has put into `public` might fit better than the one that is meant, and would run with the
/// limiter's rights. Hence our own names are always written with the schema.
struct Function {
    std::string_view name;
    std::string_view types;      ///< of the arguments
    std::string_view arguments;  ///< with their names, and the results
    std::string_view kind;       ///< RETURNS and volatility
    std::string_view body;
};

/// What every policy's function takes and returns. It decides on one policy's state and writes nothing.
///   rule     five numbers: the limit and what else the policy needs
///   state    the states of all policies of the key, null or {} for a key never seen
///   at       where in there this policy's begins
///   now_ns   nanoseconds since the epoch
///   units    to consume, or with a minus to give back
///   skew_ns  a state ahead of now by at most so much more than the policy can put it is decided as at its own time;
///            one further ahead is rebased: fully used now
///   fits     whether the policy allows it
///   after    its state if all policies allow it, or rebased; as before if it does not fit
///   seen     its state before, for the client
///   size     of the state before, in numbers
///   life_ns  how long from now until the state after is as good as new
///   rebased  the state is to be written though the request is denied
inline constexpr std::string_view policy_types = "bigint[],bigint[],integer,bigint,bigint,bigint";
inline constexpr std::string_view policy_arguments =
    "rule bigint[], state bigint[], at integer, now_ns bigint, units bigint, skew_ns bigint,\n"
    "    OUT fits boolean, OUT after bigint[], OUT seen bigint[], OUT size integer, OUT life_ns bigint,\n"
    "    OUT rebased boolean";
inline constexpr std::string_view policy_kind = "IMMUTABLE";

/// What the functions take that call decide_2 more than once: its arguments but for the operation.
inline constexpr std::string_view units_types = "bigint,bytea[],text[],bigint[],bigint,bigint,bigint";
inline constexpr std::string_view units_arguments =
    "of_scope bigint, keys bytea[], kinds text[], rules bigint[], units bigint, skew_ns bigint,\n    at_ns bigint";

}  // namespace sluice::detail::postgres::sql

#endif
