# SPDX-License-Identifier: MIT
# Summary: the Postgres store against pgbench running the same statement (1 minute)

source "$source_dir/scripts/postgres.sh"
variant_targets=(postgres_benchmark)

variant_needs() {
    need pkg-config have pkg-config
    postgres_needs
    need postgresql-contrib eval '[ -n "$(postgres_program pgbench)" ]'
}

variant_run() {
    [ $# -eq 0 ] || die "unknown option: $1"
    trap stop_postgres EXIT
    start_postgres
    "$bin/postgres_benchmark" "$postgres_connection" "$(postgres_program pgbench)" "$build_dir/decide.sql"
}
