# SPDX-License-Identifier: MIT
# Summary: a client of 50 threads that keeps to a server's 10 requests a second, for 30 s

source "$variants_dir/httplib.sh"
variant_targets=(httplib_server client)

# The server's limit: 10 a second, and not two at once.
variant_rules() {
    rules="$(mktemp "$build_dir/rules.XXXXXX")"
    cat >"$rules" <<'END'
{"rules": [{"name": "data", "routes": ["/api/data"],
            "limits": [{"name": "pace", "policy": {"kind": "token_bucket", "capacity": 1, "refill": "10/s"}}]}]}
END
}

variant_demo() {
    variant_rules
    start_server "$bin/httplib_server" --port 0 --metrics-port 0 --rules "$rules"
    rm -f "$rules"
    say "50 threads, 30 s, $server_url/api/data limited to 10 a second with a burst of 1:"
    "$bin/client" "$server_url" /api/data 30 || die "expected no 429, and 95 % of the allowance used"
    say "As it should be: never denied, and hardly a request less than allowed."
}

variant_serve() {
    variant_rules
    say "Then: $bin/client http://127.0.0.1:$1 /api/data"
    exec "$bin/httplib_server" --port "$1" --metrics-port 0 --rules "$rules"
}
