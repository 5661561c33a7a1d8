# SPDX-License-Identifier: MIT
# Summary: the Redis store against the usual scripts, and its client against a connection per thread (2 minutes)
# Option: --quick        shorter rounds (30 seconds)

variant_targets=(redis_benchmark)

variant_needs() {
    need libhiredis-dev have_header hiredis/hiredis.h
    need redis-server have redis-server
}

variant_run() {
    [ "$(getconf _NPROCESSORS_ONLN)" -ge 2 ] || say "One processor: server and clients share it, and the clients' figures say nothing."
    "$bin/redis_benchmark" "$@"
}
