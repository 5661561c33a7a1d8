# SPDX-License-Identifier: MIT
# Summary: clients of 50 threads and of 50 coroutines that keep to a server's 10 requests a second, for 30 s each

source "$variants_dir/httplib.sh"
variant_targets=(httplib_server client client_coroutines)

variant_needs() {
    server_needs
    need libasio-dev have_header asio.hpp
    need libhiredis-dev have_header hiredis/hiredis.h
}

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
    sleep 1
    say "The same with 50 coroutines:"
    "$bin/client_coroutines" "${server_url##*:}" /api/data 30 || die "expected no 429, and 95 % of the allowance used"
    say "As it should be: never denied, and hardly a request less than allowed."
}

variant_serve() {
    variant_rules
    say "Then: $bin/client http://127.0.0.1:$1 /api/data"
    exec "$bin/httplib_server" --port "$1" --metrics-port 0 --rules "$rules"
}
