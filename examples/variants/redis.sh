# SPDX-License-Identifier: MIT
# Summary: two instances of a server that share one limit through Redis

variant_targets=(redis_server)

variant_needs() {
    need pkg-config have pkg-config
    need libcpp-httplib-dev have_header httplib.h
    need libhiredis-dev have_header hiredis/hiredis.h
    need redis-server have redis-server
}

# A Redis of our own on a unix socket in a temporary folder. Sets redis_url and redis_pid.
start_redis() {
    redis_folder="$(mktemp -d)"
    trap 'stop_servers; rm -rf "$redis_folder"' EXIT
    redis_url="unix://$redis_folder/redis.sock"
    launch_redis
}

# Starts it in its folder, again too.
launch_redis() {
    local attempt
    rm -f "$redis_folder/redis.sock"
    redis-server --port 0 --unixsocket "$redis_folder/redis.sock" --dir "$redis_folder" --save "" >"$redis_folder/log" &
    redis_pid=$!
    servers+=("$redis_pid")
    for attempt in $(seq 100); do
        [ ! -S "$redis_folder/redis.sock" ] || return 0
        sleep 0.1
    done
    cat "$redis_folder/log" >&2
    die "redis-server did not start"
}

variant_demo() {
    local urls=() n first
    start_redis
    start_server "$bin/redis_server" "$redis_url" 0
    first="$server_url"
    start_server "$bin/redis_server" "$redis_url" 0
    for n in $(seq 10); do urls+=("$first/api/data?request=$n" "$server_url/api/data?request=$n"); done
    say "20 requests, one by one to $first and $server_url,"
    say "which share a limit of 10 and then 1 per second for each client:"
    send_requests "${urls[@]}"
    expect_ten_then_ten
}

variant_serve() {
    start_redis
    say "Try:  curl -i http://127.0.0.1:$1/api/data        10 requests, then 1 per second"
    say "Another instance:  $bin/redis_server $redis_url $(($1 + 1))"
    say "Ctrl-C stops it."
    "$bin/redis_server" "$redis_url" "$1"
}
