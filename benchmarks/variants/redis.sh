# SPDX-License-Identifier: MIT
# Summary: the Redis store against the usual scripts, and its client against a connection per thread (2 minutes)
# Option: --quick        shorter rounds (30 seconds)
# Option: --against REV  what decisions cost the server with these scripts and with those of another revision (1 minute)

variant_targets=(redis_benchmark)
[[ " $* " != *" --against "* ]] || variant_targets=(redis_against_benchmark)

variant_needs() {
    need libhiredis-dev have_header hiredis/hiredis.h
    need redis-server have redis-server
}

# compile_requests INCLUDE PROGRAM: what the store sends whose headers are in the folder INCLUDE.
compile_requests() {
    g++ -std=c++20 -O2 -I "$1" "$source_dir/benchmarks/redis/requests.cpp" -o "$2" -lhiredis -pthread
}

compare_with() {
    local revision="$1" folder="$build_dir/against"
    shift
    rm -rf "$folder"
    mkdir -p "$folder"
    git -C "$source_dir" archive "$revision" include | tar -x -C "$folder" || die "there is no revision $revision"
    compile_requests "$source_dir/include" "$folder/these" || die "the requests of these headers do not compile"
    compile_requests "$folder/include" "$folder/those" || die "the requests of $revision do not compile"
    "$bin/redis_against_benchmark" "$folder/these" "$folder/those" "$folder" "$@"
}

variant_run() {
    [ "$(getconf _NPROCESSORS_ONLN)" -ge 2 ] || say "One processor: server and clients share it, and the clients' figures say nothing."
    local revision="" options=()
    while [ $# -gt 0 ]; do
        case "$1" in
            --against) revision="${2:?--against needs a revision}"; shift 2 ;;
            *) options+=("$1"); shift ;;
        esac
    done
    if [ -n "$revision" ]; then
        compare_with "$revision" "${options[@]}"
    else
        "$bin/redis_benchmark" "${options[@]}"
    fi
}
