# SPDX-License-Identifier: MIT
# Summary: a cpp-httplib server that limits each client address in memory

variant_targets=(httplib_server)

server_needs() {
    need pkg-config have pkg-config
    need libcpp-httplib-dev have_header httplib.h
    need nlohmann-json3-dev have_header nlohmann/json.hpp
}

variant_needs() { server_needs; }

variant_demo() {
    start_server "$bin/${variant_targets[0]}" --port 0 --metrics-port 0
    say "20 requests to $server_url/api/data, limited to 10 and then 1 per second for each client:"
    send_requests "$server_url/api/data?request=[1-20]"
    expect_ten_then_ten
}

variant_serve() {
    say "Open http://127.0.0.1:$1/ in a browser, or try:"
    say "      curl -i http://127.0.0.1:$1/api/data        10 requests, then 1 per second"
    say "      curl -i http://127.0.0.1:$1/api/expensive   4 requests, then 1 per 2.5 seconds"
    say "      curl -i http://127.0.0.1:$1/free            no limit"
    say "Ctrl-C stops it."
    exec "$bin/${variant_targets[0]}" --port "$1" --metrics-port 0
}
