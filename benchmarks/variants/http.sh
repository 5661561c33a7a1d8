# SPDX-License-Identifier: MIT
# Summary: what a guard costs a cpp-httplib server, by wrk with 2 connections (1 minute)
# Option: --seconds N    of each of the ten runs (default 5)

variant_targets=(http_benchmark)
servers=()  # not local: the trap outlives the function

variant_needs() {
    need pkg-config have pkg-config
    need libcpp-httplib-dev have_header httplib.h
    need wrk have wrk
}

# serve NAME ARGUMENT...: starts a server and sets url.
serve() {
    local log="$build_dir/http-$1.log" attempt
    shift
    "$bin/http_benchmark" "$@" >"$log" 2>&1 &
    servers+=("$!")
    for attempt in $(seq 100); do
        url="$(sed -n 's/^Listening on //p' "$log")"
        [ -z "$url" ] || return 0
        sleep 0.1
    done
    die "the server did not start; see $log"
}

# requests_per_second URL
requests_per_second() {
    local out
    out="$(wrk -t 1 -c 2 -d "${seconds}s" "$1/api/data")" || die "wrk failed: $out"
    ! grep -q 'Non-2xx' <<<"$out" || die "not all answers were 200: $out"
    sed -n 's/^Requests\/sec: *//p' <<<"$out"
}

variant_run() {
    local seconds=5 plain limited url run a b ratios=() median
    case "${1:-}" in
        "") ;;
        --seconds) seconds="$2" ;;
        *) die "unknown option: $1" ;;
    esac
    trap 'kill "${servers[@]}" 2>/dev/null || true' EXIT
    serve plain
    plain="$url"
    serve limited --limited
    limited="$url"
    seconds=1 requests_per_second "$plain" >/dev/null
    seconds=1 requests_per_second "$limited" >/dev/null
    say "Requests per second over 2 connections, in turns:"
    for run in 1 2 3 4 5; do
        a="$(requests_per_second "$plain")"
        b="$(requests_per_second "$limited")"
        ratios+=("$(awk -v a="$a" -v b="$b" 'BEGIN { printf "%.3f", b / a }')")
        printf '  without %9.0f   with the guard %9.0f   ratio %s\n' "$a" "$b" "${ratios[$((run - 1))]}"
    done
    median="$(printf '%s\n' "${ratios[@]}" | sort -n | sed -n 3p)"
    say "Median ratio: $median (at least 0.95 is wanted)"
    awk -v ratio="$median" 'BEGIN { exit !(ratio >= 0.95) }'
}
