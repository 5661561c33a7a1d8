# SPDX-License-Identifier: MIT
# Summary: what a decision costs the client of a Redis Cluster, beside plain servers, and both over TLS (1 minute)
# Option: --quick        shorter rounds (20 seconds)

variant_targets=(cluster_benchmark)

variant_needs() {
    need libhiredis-dev have_header hiredis/hiredis.h
    need redis-server have redis-server
    need libssl-dev have_header openssl/ssl.h
    need openssl have openssl
}

variant_run() {
    [ "$(getconf _NPROCESSORS_ONLN)" -ge 2 ] || say "One processor: servers and clients share it, and the figures say little."
    "$bin/cluster_benchmark" "$@"
}
