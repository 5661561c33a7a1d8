# SPDX-License-Identifier: MIT
# Summary: what a guard costs a server over 2 connections (1 minute for each framework that is installed)
# Option: --seconds N    of each of the ten runs (default 5)

frameworks=(httplib)
servers=()  # not local: the trap outlives the function
stop_all() { kill "${servers[@]}" 2>/dev/null || true; }

variant_needs() {
    need pkg-config have pkg-config
    need libcpp-httplib-dev have_header httplib.h
    need wrk have wrk
    if have_header boost/beast.hpp >/dev/null 2>&1; then frameworks+=(beast); fi
    if have_header grpcpp/grpcpp.h >/dev/null 2>&1 && have grpc_cpp_plugin >/dev/null 2>&1; then frameworks+=(grpc); fi
    if [ -f "${CROW_INCLUDE_DIR:-}/crow.h" ] || have_header crow.h >/dev/null 2>&1; then
        [ -z "${CROW_INCLUDE_DIR:-}" ] || export CROW_INCLUDE_DIR="$(cd "$CROW_INCLUDE_DIR" && pwd -P)"
        frameworks+=(crow)
    fi
    variant_targets=("${frameworks[@]/%/_benchmark}")
    variant_targets=("${variant_targets[@]/#/http_}")
}

# serve NAME PROGRAM ARGUMENT...: starts a server and sets url.
serve() {
    local log="$build_dir/http-$1.log" attempt
    shift
    "$bin/$1" "${@:2}" >"$log" 2>&1 &
    servers+=("$!")
    for attempt in $(seq 100); do
        url="$(sed -n 's/^Listening on //p' "$log")"
        [ -z "$url" ] || return 0
        sleep 0.1
    done
    die "the server did not start; see $log"
}

# requests_per_second FRAMEWORK URL
requests_per_second() {
    local out
    if [ "$1" = grpc ]; then  # which wrk does not speak
        "$bin/http_grpc_benchmark" --load "$2" "$seconds" || die "the clients failed"
        return
    fi
    out="$(wrk -t 1 -c 2 -d "${seconds}s" "$2/api/data")" || die "wrk failed: $out"
    ! grep -q 'Non-2xx' <<<"$out" || die "not all answers were 200: $out"
    sed -n 's/^Requests\/sec: *//p' <<<"$out"
}

# compare FRAMEWORK: sets median, the ratio with and without the guard.
compare() {
    local plain limited run a b ratios=()
    serve "$1-plain" "http_$1_benchmark"
    plain="$url"
    serve "$1-limited" "http_$1_benchmark" --limited
    limited="$url"
    seconds=1 requests_per_second "$1" "$plain" >/dev/null
    seconds=1 requests_per_second "$1" "$limited" >/dev/null
    say "$1, requests per second over 2 connections, in turns:"
    for run in 1 2 3 4 5; do
        a="$(requests_per_second "$1" "$plain")"
        b="$(requests_per_second "$1" "$limited")"
        ratios+=("$(awk -v a="$a" -v b="$b" 'BEGIN { printf "%.3f", b / a }')")
        printf '  without %9.0f   with the guard %9.0f   ratio %s\n' "$a" "$b" "${ratios[$((run - 1))]}"
    done
    median="$(printf '%s\n' "${ratios[@]}" | sort -n | sed -n 3p)"
    stop_all
    wait "${servers[@]}" 2>/dev/null || true
    servers=()
}

variant_run() {
    local seconds=5 framework median all_good=yes
    case "${1:-}" in
        "") ;;
        --seconds) seconds="$2" ;;
        *) die "unknown option: $1" ;;
    esac
    trap stop_all EXIT
    for framework in "${frameworks[@]}"; do
        compare "$framework"
        say "$framework: median ratio $median (at least 0.95 is wanted)"
        awk -v ratio="$median" 'BEGIN { exit !(ratio >= 0.95) }' || all_good=
    done
    [ -n "$all_good" ]
}
