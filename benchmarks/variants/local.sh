# SPDX-License-Identifier: MIT
# Summary: Lease and DenialCache against the Redis store that they stand before (half a minute)
# Option: --quick        shorter rounds

variant_targets=(local_benchmark)

variant_needs() {
    need libhiredis-dev have_header hiredis/hiredis.h
    need redis-server have redis-server
}

variant_run() { "$bin/local_benchmark" "$@"; }
