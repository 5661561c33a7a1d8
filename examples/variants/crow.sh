# SPDX-License-Identifier: MIT
# Summary: the same on Crow; CROW_INCLUDE_DIR=<the folder of crow.h> where Crow is not installed

source "$variants_dir/httplib.sh"
variant_targets=(crow_server)

variant_needs() {
    if [ ! -f "${CROW_INCLUDE_DIR:-}/crow.h" ] && [ -z "${Crow_DIR:-}${Crow_ROOT:-}" ] && ! have_header crow.h >/dev/null 2>&1; then
        say "Skipped: Crow was not found, and Debian and Ubuntu have no package of it. To get it:"
        say "    git clone https://github.com/CrowCpp/Crow"
        say "    CROW_INCLUDE_DIR=Crow/include examples/run crow"
        exit 77
    fi
    # What is built lies elsewhere, so a relative path would be lost.
    [ -z "${CROW_INCLUDE_DIR:-}" ] || export CROW_INCLUDE_DIR="$(cd "$CROW_INCLUDE_DIR" && pwd -P)"
    need libasio-dev have_header asio.hpp
    need nlohmann-json3-dev have_header nlohmann/json.hpp
}
