# SPDX-License-Identifier: MIT
# Summary: the same on Boost.Beast, with coroutines on two threads

source "$variants_dir/httplib.sh"
variant_targets=(beast_server)

variant_needs() {
    need libboost-dev have_header boost/beast.hpp
    need nlohmann-json3-dev have_header nlohmann/json.hpp
}
