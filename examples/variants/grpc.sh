# SPDX-License-Identifier: MIT
# Summary: a gRPC server whose interceptor limits the calls of each client

variant_targets=(grpc_server)

variant_needs() {
    need libgrpc++-dev have_header grpcpp/grpcpp.h
    need libprotobuf-dev have_header google/protobuf/message.h
    need protobuf-compiler have protoc
    need protobuf-compiler-grpc have grpc_cpp_plugin
    need nlohmann-json3-dev have_header nlohmann/json.hpp
}

variant_demo() {
    local answers counts
    start_server "$bin/grpc_server" 0
    say "20 calls of demo.Demo/Data on $server_url, limited to 10 and then 1 per second for each client:"
    answers="$("$bin/grpc_server" --call "$server_url" Data 20)"
    nl <<<"$answers"
    counts="$(cut -d' ' -f1 <<<"$answers" | uniq -c | tr -s ' ' | tr '\n' ';')"
    [ "$counts" = " 10 OK; 10 RESOURCE_EXHAUSTED;" ] || die "expected ten OK and then ten RESOURCE_EXHAUSTED, not$counts"
    [ "$(grep -c '"data";r=' <<<"$answers")" -eq 20 ] || die "expected RateLimit in each call's metadata"
    say "As it should be: ten OK, then ten RESOURCE_EXHAUSTED, each with RateLimit in its metadata."
}

variant_serve() {
    say "Serves demo.Demo (examples/grpc_demo.proto) on port $1; Ctrl-C stops it. Elsewhere: grpc_server --call 127.0.0.1:$1 Data 20"
    exec "$bin/grpc_server" "$1"
}
