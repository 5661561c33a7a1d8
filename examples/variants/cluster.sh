# SPDX-License-Identifier: MIT
# Summary: two instances on a Redis Cluster; a master is killed, and its replica promoted, while requests go on

variant_targets=(cluster_server)

variant_needs() {
    need pkg-config have pkg-config
    need libcpp-httplib-dev have_header httplib.h
    need libhiredis-dev have_header hiredis/hiredis.h
    need redis-server have redis-server
    need redis-tools have redis-cli
}

cluster_size=6

# start_node PORT: sets node_pids[PORT]; fails where the port, or the one for the cluster's own talk, is taken.
start_node() {
    local folder="$cluster_folder/$1" attempt
    mkdir -p "$folder"
    redis-server --port "$1" --bind 127.0.0.1 --dir "$folder" --save "" --appendonly no --cluster-enabled yes \
        --cluster-node-timeout 1000 --cluster-require-full-coverage no --cluster-replica-validity-factor 0 \
        --repl-diskless-sync-delay 0 >"$folder/log" &
    node_pids[$1]=$!
    servers+=("${node_pids[$1]}")
    for attempt in $(seq 100); do
        [ "$(redis-cli -p "$1" ping 2>/dev/null)" != PONG ] || return 0
        kill -0 "${node_pids[$1]}" 2>/dev/null || return 1
        sleep 0.1
    done
    return 1
}

# Three masters and a replica of each, all in a temporary folder. Sets cluster_ports, cluster_url and node_pids.
start_cluster() {
    local try port nodes=() attempt
    declare -gA node_pids=()
    cluster_folder="$(mktemp -d)"
    trap 'stop_servers; rm -rf "$cluster_folder"' EXIT
    for try in $(seq 20); do
        cluster_ports=()
        for port in $(seq $((10000 + RANDOM % 20000)) 7 65535 | head -"$cluster_size"); do
            start_node "$port" || break
            cluster_ports+=("$port")
        done
        [ ${#cluster_ports[@]} -ne "$cluster_size" ] || break
    done
    [ ${#cluster_ports[@]} -eq "$cluster_size" ] || die "redis-server did not start"
    for port in "${cluster_ports[@]}"; do nodes+=("127.0.0.1:$port"); done
    redis-cli --cluster create "${nodes[@]}" --cluster-replicas 1 --cluster-yes >"$cluster_folder/create.log" ||
        { cat "$cluster_folder/create.log" >&2; die "the cluster was not made"; }
    for attempt in $(seq 300); do
        [ "$(ask_all cluster info | grep -c cluster_state:ok)" -ne "$cluster_size" ] ||
            [ "$(ask_all info replication | grep -c master_link_status:up)" -ne 3 ] || break
        sleep 0.1
    done
    cluster_url="redis+cluster://127.0.0.1:${cluster_ports[1]},127.0.0.1:${cluster_ports[2]}"
}

ask_all() { for port in "${cluster_ports[@]}"; do redis-cli -p "$port" "$@"; done; }

# is_master PORT
is_master() { redis-cli -p "$1" info replication | grep -q '^role:master'; }

# round: a request of each client, to the instances in turn. Counts, and says which were degraded where that has changed.
round() {
    local urls=() n client now="" why="" line answers
    rounds=$((rounds + 1))
    for n in "${!clients[@]}"; do urls+=("${instances[$(((rounds + n) % 2))]}/api/data?client=${clients[$n]}"); done
    answers="$(curl -sS --max-time 10 "${urls[@]}")"
    n=0
    while read -r line; do
        client="${clients[$n]}"
        case "$line" in
            decided*) decided[$client]=$((decided[$client] + 1)) ;;
            degraded*) degraded[$client]=$((degraded[$client] + 1)) now+=" $client" why="$line" ;;
            *) die "a request failed: $line" ;;
        esac
        n=$((n + 1))
    done <<<"$answers"
    [ "$n" -eq ${#clients[@]} ] || die "a request was not answered"
    if [ "$now" != "$before" ]; then
        if [ -z "$now" ]; then
            say "round $rounds: all decided"
        else
            say "round $rounds:$now $why"
        fi
    fi
    before="$now"
}

variant_demo() {
    local instances=() clients=() rounds=0 before="" port replica="" id victim client used problem=""
    local -A decided=() degraded=()
    start_cluster
    start_server "$bin/cluster_server" "$cluster_url" 0
    instances+=("$server_url")
    start_server "$bin/cluster_server" "$cluster_url" 0
    instances+=("$server_url")
    for client in ann bob cem dan eva fay gil hal ida joe kim lea; do
        clients+=("$client") decided[$client]=0 degraded[$client]=0
    done
    say "Requests of ${#clients[@]} clients, in turn to ${instances[0]} and ${instances[1]},"
    say "which share a limit for each client in a cluster of three masters and a replica of each:"
    while [ "$rounds" -lt 20 ]; do round; done
    [ -z "$before" ] || die "requests were degraded without a reason"
    say "round $rounds: all decided"

    victim="${cluster_ports[0]}"
    id="$(redis-cli -p "$victim" cluster myid)"
    for port in "${cluster_ports[@]}"; do
        if redis-cli -p "$port" cluster nodes | grep myself | grep -q "slave $id"; then replica="$port"; fi
    done
    say "The master on port $victim is killed (kill -9); its replica is on port $replica."
    kill -9 "${node_pids[$victim]}"
    wait "${node_pids[$victim]}" 2>/dev/null || true
    until is_master "$replica"; do
        [ "$rounds" -lt 5000 ] || die "the replica was not promoted"
        round
    done
    say "round $rounds: the replica on port $replica has been promoted"
    local end=$((rounds + 100))
    while [ "$rounds" -lt "$end" ]; do round; done
    [ -z "$before" ] || die "requests were still degraded"

    say ""
    say "client  decided  degraded  units taken"
    for client in "${clients[@]}"; do
        used="$(curl -sS --max-time 10 "${instances[0]}/api/used?client=$client")"
        printf '%-6s %8d %9d %12s\n' "$client" "${decided[$client]}" "${degraded[$client]}" "$used"
        # A request that was degraded may have been charged or not; a replica may not have got its master's last units.
        [ "$used" -le $((decided[$client] + degraded[$client])) ] || problem="units were taken twice"
        [ "${degraded[$client]}" -gt 0 ] || [ "$used" -eq "${decided[$client]}" ] || problem="units are missing"
    done
    [ -z "$problem" ] || die "$problem"
    [ "$(printf '%s\n' "${degraded[@]}" | grep -cvx 0)" -lt ${#clients[@]} ] || die "all clients were degraded"
    say "As it should be: only clients of the lost master were degraded, until its replica took its place, and no unit was"
    say "taken twice."
}

variant_serve() {
    start_cluster
    say "Try:  curl 'http://127.0.0.1:$1/api/data?client=ann'        and ?client=bob, ..."
    say "Another instance:  $bin/cluster_server '$cluster_url' $(($1 + 1))"
    say "Then: kill -9 ${node_pids[${cluster_ports[0]}]}, and look at who is degraded for a moment"
    say "Ctrl-C stops it."
    "$bin/cluster_server" "$cluster_url" "$1"
}
