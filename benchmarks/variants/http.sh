# SPDX-License-Identifier: MIT
# Summary: what a guard costs a server over 2 connections (1 minute for each framework that is installed)
# Option: --pairs N      of runs of a second, without and with it in turns (default 20)

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

# pinned PROCESSOR COMMAND...: on that of the processors that this shell was given, where there are two and taskset.
pinned() {
    local processor="${processors[$1]:-}"
    shift
    if [ -n "$processor" ]; then exec taskset -c "$processor" "$@"; else exec "$@"; fi
}

# serve NAME PROGRAM ARGUMENT...: starts a server and sets url.
serve() {
    local log="$build_dir/http-$1.log" attempt
    shift
    : >"$log"  # the last run's says another port
    (pinned 0 "$bin/$1" "${@:2}") >"$log" 2>&1 &
    servers+=("$!")
    for attempt in $(seq 100); do
        url="$(sed -n 's/^Listening on //p' "$log")"
        [ -z "$url" ] || return 0
        sleep 0.1
    done
    die "the server did not start; see $log"
}

# requests FRAMEWORK URL: sends them for a second and tells how many it were.
requests() {
    local out
    if [ "$1" = grpc ]; then  # which wrk does not speak
        (pinned 1 "$bin/http_grpc_benchmark" --load "$2" 1) || die "the clients failed"
        return
    fi
    out="$(pinned 1 wrk -t 1 -c 2 -d 1s "$2/api/data")" || die "wrk failed: $out"
    ! grep -q 'Non-2xx' <<<"$out" || die "not all answers were 200: $out"
    sed -n 's/^ *\([0-9]*\) requests in .*/\1/p' <<<"$out"
}

# In ticks of 10 ms, of all its threads.
processor_time() { sed 's/.*) //' "/proc/$1/stat" | awk '{ print $12 + $13 }'; }

# measure FRAMEWORK URL PID: prints requests, processor time in us and us for each of them.
measure() {
    local before after count
    before="$(processor_time "$3")"
    count="$(requests "$1" "$2")"
    after="$(processor_time "$3")"
    awk -v n="$count" -v t="$((after - before))" 'BEGIN { if (n == 0) exit 1; print n, t * 1e4 / n }' || die "no answers"
}

# quantiles NUMBER...: the lower quarter, the median and the upper quarter.
quantiles() {
    printf '%s\n' "$@" | sort -n | awk '{ all[NR] = $1 }
        END { printf "%.3f %.3f %.3f\n", all[int((NR + 3) / 4)], all[int((NR + 1) / 2)], all[int((3 * NR + 3) / 4)] }'
}

# compare FRAMEWORK OPTION: sets ratio, by the processor's time of a server without and of one with the option.
compare() {
    local plain limited pair costs=() rates=() times=() without with
    serve "$1-plain" "http_$1_benchmark"
    plain="$url ${servers[0]}"
    serve "$1-limited" "http_$1_benchmark" "$2"
    limited="$url ${servers[1]}"
    measure "$1" $plain >/dev/null
    measure "$1" $limited >/dev/null
    for pair in $(seq "$pairs"); do
        if [ $((pair % 2)) = 0 ]; then  # each goes first as often as the other
            without="$(measure "$1" $plain)"
            with="$(measure "$1" $limited)"
        else
            with="$(measure "$1" $limited)"
            without="$(measure "$1" $plain)"
        fi
        costs+=("$(awk -v a="${without#* }" -v b="${with#* }" 'BEGIN { print a / b }')")
        rates+=("$(awk -v a="${without% *}" -v b="${with% *}" 'BEGIN { print b / a }')")
        times+=("${without#* }")
    done
    stop_all
    wait "${servers[@]}" 2>/dev/null || true
    servers=()
    read -r low ratio high <<<"$(quantiles "${costs[@]}")"
    read -r rate_low rate rate_high <<<"$(quantiles "${rates[@]}")"
    read -r _ time _ <<<"$(quantiles "${times[@]}")"
    printf '  %-8s %-14s %7.2f    %.3f (%.3f to %.3f)    %.3f (%.3f to %.3f)\n' "$1" "$2" "$time" \
        "$ratio" "$low" "$high" "$rate" "$rate_low" "$rate_high"
}

variant_run() {
    local pairs=20 framework ratio low high rate rate_low rate_high time processors=() missed=()
    case "${1:-}" in
        "") ;;
        --pairs) pairs="$2" ;;
        *) die "unknown option: $1" ;;
    esac
    [ -r /proc/self/stat ] || die "there is no /proc, which tells how long a processor was busy"
    if have taskset >/dev/null; then
        # shellcheck disable=SC2207
        processors=($(taskset -cp $$ | sed 's/.*: //; s/,/\n/g' | awk -F- '{ for (i = $1; i <= $NF; ++i) print i }'))
        [ "${#processors[@]}" -ge 2 ] || processors=()
    fi
    trap stop_all EXIT
    cat <<END
Servers on one processor, the client with 2 connections on another. Medians of $pairs pairs of runs of a second, in turns,
and where half of them lie; a server without the option by the same with it:
                             us of      processor's time of    requests per second,
                             processor  a request, as a ratio  the other way round
END
    for framework in "${frameworks[@]}"; do
        compare "$framework" --limited
        awk -v rate="$rate" 'BEGIN { exit !(rate >= 0.95) }' || missed+=("$framework")
        [ "$framework" != grpc ] || compare grpc --intercepted  # by an interceptor that does nothing
    done
    [ "${#missed[@]}" -eq 0 ] && say "Every server answers at least 0.95 of the requests that it answers without a guard." && return
    say "Less than 0.95 of the requests: ${missed[*]}"
    return 1
}
