# SPDX-License-Identifier: MIT
# Summary: the in-memory store and its peers: speed, memory, worst calls, goals (6 minutes)
# Option: --quick        fewer rounds and keys (1 minute)
# Option: --json FILE    also all figures as JSON

variant_targets=(memory_benchmark)

# What the peers are made of; Boost's is compared where it is new enough.
memory_needs() {
    need libabsl-dev have_header absl/container/flat_hash_map.h
    need libtbb-dev have_header oneapi/tbb/concurrent_hash_map.h
    need libboost-dev have_header boost/version.hpp
}
variant_needs() {
    need libbenchmark-dev have_header benchmark/benchmark.h
    memory_needs
}

variant_run() {
    have_header boost/unordered/concurrent_flat_map.hpp >/dev/null 2>&1 ||
        say "Left out: boost::concurrent_flat_map, which comes with Boost 1.83."
    [ "$(getconf _NPROCESSORS_ONLN)" -ge 2 ] || say "One processor: the workloads on two threads say nothing."
    "$bin/memory_benchmark" "$@"
}
