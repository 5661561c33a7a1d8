# SPDX-License-Identifier: MIT
# Summary: two servers of coroutines that share one limit through Redis, whose standing still holds up nobody else

source "$variants_dir/redis.sh"  # start_redis
variant_targets=(async_server)

variant_needs() {
    need libasio-dev have_header asio.hpp
    need libhiredis-dev have_header hiredis/hiredis.h
    need redis-server have redis-server
}

variant_demo() {
    local urls=() n first health
    start_redis
    start_server "$bin/async_server" "$redis_url" 0
    first="$server_url"
    start_server "$bin/async_server" "$redis_url" 0
    for n in $(seq 10); do urls+=("$first/api/data?request=$n" "$server_url/api/data?request=$n"); done
    say "20 requests, one by one to $first and $server_url,"
    say "which share a limit of 10 and then 1 per second for each client:"
    send_requests "${urls[@]}"
    expect_ten_then_ten
    kill -STOP "$redis_pid"
    curl -sS --max-time 30 "$first/api/data" >/dev/null &
    health="$(curl -sS --max-time 30 -w '%{time_total}' -o /dev/null "$first/health")"
    kill -CONT "$redis_pid"
    wait $!
    say "While Redis stood still, /health answered after $health s."
}

variant_serve() {
    start_redis
    say "Try:  curl -i http://127.0.0.1:$1/api/data        10 requests, then 1 per second"
    say "      curl -i http://127.0.0.1:$1/batch           waits for its turn: 5 per second"
    say "Another instance:  $bin/async_server $redis_url $(($1 + 1))"
    say "Ctrl-C stops it."
    "$bin/async_server" "$redis_url" "$1"
}
