# SPDX-License-Identifier: MIT
# Summary: a policy of one's own, in memory and in Redis

source "$variants_dir/redis.sh"
variant_targets=(custom_policy custom_policy_redis)

variant_needs() {
    need libhiredis-dev have_header hiredis/hiredis.h
    need redis-server have redis-server
}

variant_demo() {
    say "In memory, at 0, 10 and 30 s:"
    "$bin/custom_policy"
    start_redis
    say "In Redis:"
    "$bin/custom_policy_redis" "$redis_url"
}

variant_serve() { die "this example serves nothing"; }
