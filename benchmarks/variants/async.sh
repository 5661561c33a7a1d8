# SPDX-License-Identifier: MIT
# Summary: event loops that ask Redis against threads that do (1 minute)
# Option: --quick        shorter rounds (15 seconds)

variant_targets=(async_benchmark)

variant_needs() {
    need libasio-dev have_header asio.hpp
    need libhiredis-dev have_header hiredis/hiredis.h
    need redis-server have redis-server
}

variant_run() {
    [ "$(getconf _NPROCESSORS_ONLN)" -ge 2 ] || say "One processor: server and clients share it, and the clients' figures say nothing."
    "$bin/async_benchmark" "$@"
}
