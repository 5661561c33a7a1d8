# SPDX-License-Identifier: MIT
# Summary: two instances of a server that share one limit through Postgres

source "$source_dir/scripts/postgres.sh"
variant_targets=(postgres_server)

variant_needs() {
    need pkg-config have pkg-config
    need libcpp-httplib-dev have_header httplib.h
    postgres_needs
}

start_our_postgres() {
    trap 'stop_servers; stop_postgres' EXIT
    start_postgres
}

variant_demo() {
    local urls=() n first
    start_our_postgres
    start_server "$bin/postgres_server" "$postgres_connection" 0
    first="$server_url"
    start_server "$bin/postgres_server" "$postgres_connection" 0
    for n in $(seq 10); do urls+=("$first/api/data?request=$n" "$server_url/api/data?request=$n"); done
    say "20 requests, one by one to $first and $server_url,"
    say "which share a limit of 10 and then 1 per second for each client:"
    send_requests "${urls[@]}"
    expect_ten_then_ten
}

variant_serve() {
    start_our_postgres
    say "Try:  curl -i http://127.0.0.1:$1/api/data        10 requests, then 1 per second"
    say "Another instance:  $bin/postgres_server '$postgres_connection' $(($1 + 1))"
    say "Ctrl-C stops it."
    "$bin/postgres_server" "$postgres_connection" "$1"
}
