# SPDX-License-Identifier: MIT
# Summary: instructions per decision, counted by callgrind, without those of the loop around them

source "$variants_dir/memory.sh"
variant_targets=(instructions_benchmark)

variant_needs() {
    need valgrind have valgrind
    memory_needs
}

# instructions_for KIND DECISIONS
instructions_for() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$bin/instructions_benchmark" "$1" "$2" 2>&1 |
        sed -n 's/^.*Collected : //p'
}

variant_run() {
    local n=65536 kind count loop=0  # n known keys, each of which has come eleven times when the count begins
    "$bin/instructions_benchmark" | while read -r kind; do
        count=$((($(instructions_for "$kind" $((12 * n))) - $(instructions_for "$kind" $((11 * n)))) / n - loop))
        printf '%-40s %5d\n' "$kind" "$count"
        [ "$kind" != loop ] || loop=$count
    done
}
