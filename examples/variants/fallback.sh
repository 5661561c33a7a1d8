# SPDX-License-Identifier: MIT
# Summary: two instances on Redis with memory behind it; Redis is killed and comes back

source "$variants_dir/redis.sh"
variant_targets=(fallback_server)

# request URL: one line with its status and who decided. Adds to `deciders`; fails where the answer is neither 200 nor 429.
request() {
    local answer
    answer="$(curl -sS --max-time 10 -D - -o /dev/null "$1" | tr -d '\r' |
        awk '/^HTTP/ { status = $2 } tolower($1) == "x-decided-by:" { who = $2 } END { print status, who }')"
    deciders+=("${answer#* }")
    count=$((count + 1))
    printf '%6d  %s  %s\n' "$count" "${answer% *}" "${answer#* }"
    case "${answer% *}" in
        200 | 429) ;;
        *) die "a request failed" ;;
    esac
}

# requests N DECIDER: to the instances in turn; all have to be decided by DECIDER.
requests() {
    local n
    deciders=()
    for n in $(seq "$1"); do
        if [ $((n % 2)) -eq 1 ]; then request "$first/api/data"; else request "$server_url/api/data"; fi
    done
    [ "$(printf '%s\n' "${deciders[@]}" | sort -u)" = "$2" ] || die "expected all of these to be decided by $2"
}

variant_demo() {
    local first count=0 deciders attempt back
    start_redis
    start_server "$bin/fallback_server" "$redis_url" 0
    first="$server_url"
    start_server "$bin/fallback_server" "$redis_url" 0
    say "Requests, in turn to $first and $server_url,"
    say "which share a limit of 20 and then 1 per second for each client:"
    requests 10 redis
    say "Redis is killed (kill -9)."
    kill -9 "$redis_pid"
    wait "$redis_pid" 2>/dev/null || true
    requests 24 memory
    say "Redis is started again."
    launch_redis
    for attempt in $(seq 100); do
        deciders=()
        request "$first/api/data"
        request "$server_url/api/data"
        back="${deciders[*]}"
        [ "$back" != "redis redis" ] || break
        sleep 0.1
    done
    [ "$back" = "redis redis" ] || die "Redis did not decide again"
    requests 6 redis
    say "As it should be: every request was answered, by Redis, then by memory, then by Redis."
}

variant_serve() {
    start_redis
    say "Try:  curl -i http://127.0.0.1:$1/api/data        20 requests, then 1 per second"
    say "Then: kill -9 $redis_pid, and look at X-Decided-By"
    say "Ctrl-C stops it."
    "$bin/fallback_server" "$redis_url" "$1"
}
