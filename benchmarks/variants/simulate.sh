# SPDX-License-Identifier: MIT
# Summary: the layers at a scale that no test machine has: 1,000 instances, a day in 24 seconds, a lost shard (5 minutes)
# Option: --quick        200 instances and a fifth of the load
# Option: --docs FOLDER  writes simulation.md and simulation.svg there

variant_targets=(simulate_benchmark)

variant_needs() {
    # To calibrate the model; without them it takes earlier figures.
    want libhiredis-dev have_header hiredis/hiredis.h
    want redis-server have redis-server
    if have_header hiredis/hiredis.h && have redis-server; then variant_targets+=(redis_benchmark); fi
}

variant_run() {
    local figures=() cost
    if [ -x "$bin/redis_benchmark" ] && have redis-server; then
        say "Measuring what a decision costs Redis on this machine"
        cost="$("$bin/redis_benchmark" --quick)" || true
        # "  fixed window                             6.89   0.560", and in batches of 32
        figures=($(awk '/^  fixed window  /{ alone = $3 } /^  fixed window x 32, all keys different /{ many = $8 }
                        END { if (alone > 0 && many > 0) printf "--alone-us %.2f --batched-us %.2f", alone, (32 * many - alone) / 31 }' \
            <<<"$cost"))
    fi
    "$bin/simulate_benchmark" "${figures[@]}" "$@"
}
