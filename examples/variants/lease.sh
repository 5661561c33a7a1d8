# SPDX-License-Identifier: MIT
# Summary: three instances with one hot limit that they lease through Redis (10 seconds)

source "$variants_dir/redis.sh"
variant_targets=(lease)

variant_needs() {
    need libhiredis-dev have_header hiredis/hiredis.h
    need redis-server have redis-server
}

variant_demo() {
    start_redis
    say "Three instances get 6,000 requests a second and may admit 1,000:"
    "$bin/lease" "$redis_url" || die "more was admitted than allowed"
}

variant_serve() { die "this variant serves nothing"; }
