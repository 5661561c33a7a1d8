# SPDX-License-Identifier: MIT
# Summary: a cpp-httplib server that limits each client address in memory

variant_targets=(httplib_server)

variant_needs() {
    need pkg-config have pkg-config
    need libcpp-httplib-dev have_header httplib.h
}

variant_demo() {
    start_server "$bin/httplib_server" 0
    say "20 requests to $server_url/api/data, limited to 10 and then 1 per second for each client:"
    send_requests "$server_url/api/data?request=[1-20]"
    expect_ten_then_ten
}

variant_serve() {
    say "Try:  curl -i http://127.0.0.1:$1/api/data        10 requests, then 1 per second"
    say "      curl -i http://127.0.0.1:$1/api/expensive   2 requests, then 1 per 5 seconds"
    say "      curl -i http://127.0.0.1:$1/free            no limit"
    say "Ctrl-C stops it."
    exec "$bin/httplib_server" "$1"
}
