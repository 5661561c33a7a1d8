# SPDX-License-Identifier: MIT
# Summary: instructions per decision on one hot key (W1), counted by callgrind

source "$variants_dir/memory.sh"
variant_targets=(instructions_benchmark)

variant_needs() {
    need valgrind have valgrind
    memory_needs
}

# instructions_for CONTENDER DECISIONS
instructions_for() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$bin/instructions_benchmark" "$1" "$2" 2>&1 |
        sed -n 's/^.*Collected : //p'
}

variant_run() {
    local n=100000 contender
    "$bin/instructions_benchmark" | while read -r contender; do
        printf '%-30s %4d\n' "$contender" \
            $((($(instructions_for "$contender" $((2 * n))) - $(instructions_for "$contender" $n)) / n))
    done
}
