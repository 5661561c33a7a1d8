# SPDX-License-Identifier: MIT
# Summary: the same on Drogon, where it is installed (Debian 13: libdrogon-dev)

source "$variants_dir/httplib.sh"
variant_targets=(drogon_server)

variant_needs() {
    if ! have_header drogon/drogon.h >/dev/null 2>&1 && [ -z "${Drogon_DIR:-}${Drogon_ROOT:-}" ]; then
        say "Skipped: Drogon was not found (Debian 13: libdrogon-dev; elsewhere Drogon_ROOT=<where it is installed>)"
        exit 77
    fi
    need nlohmann-json3-dev have_header nlohmann/json.hpp
}
