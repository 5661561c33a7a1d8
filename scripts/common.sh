# SPDX-License-Identifier: MIT
# What tests/run, examples/run and benchmarks/run share. Sourced by bash (3.2 suffices, hence no `set -u`: it dislikes empty arrays).

source_dir="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
jobs="${SLUICE_JOBS:-$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)}"

say() { printf '%s\n' "$*"; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

missing_packages=()
wanted_packages=()

# need PACKAGE TEST...: PACKAGE (its Debian name) is missing where the command TEST fails.
need() {
    local package="$1"
    shift
    "$@" >/dev/null 2>&1 || missing_packages+=("$package")
}

# want PACKAGE TEST...: the same for a package that one can do without, since not every system has it.
want() {
    local package="$1"
    shift
    "$@" >/dev/null 2>&1 || wanted_packages+=("$package")
}

have() { command -v "$1"; }
have_header() { echo "#include <$1>" | g++ -std=c++20 -E -x c++ -; }

need_build_tools() {
    need g++ have g++
    need cmake have cmake
    need ninja-build have ninja
}

# Installs what `need` found missing, as root or through sudo; where it cannot, it names it. Then what `want` did. What apt
# and the packages say is shown only if they fail.
install_missing() {
    [ $((${#missing_packages[@]} + ${#wanted_packages[@]})) -gt 0 ] || return 0
    local packages="${missing_packages[*]}" as_root=() reason= package log
    have apt-get >/dev/null || reason="there is no apt-get"
    if [ "$(id -u)" -ne 0 ]; then
        have sudo >/dev/null || reason="neither root nor sudo here"
        as_root=(sudo)
    fi
    if [ -n "$reason" ]; then
        [ -z "$packages" ] || die "please install (Debian names): $packages ($reason)"
        say "Going on without: ${wanted_packages[*]} ($reason)"
        return 0
    fi
    say "Installing with apt: $packages ${wanted_packages[*]}"
    local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Acquire::Retries=3
               -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0)
    log="$(mktemp)"
    note_services
    # A source that cannot be refreshed need not be the one that holds the packages.
    "${apt[@]}" update >"$log" 2>&1 || say "apt-get update reported errors; trying to install all the same"
    if [ -n "$packages" ]; then
        "${apt[@]}" install --no-install-recommends "${missing_packages[@]}" >>"$log" 2>&1 || {
            tail -n 40 "$log" >&2
            die "apt-get could not install: $packages"
        }
    fi
    for package in "${wanted_packages[@]}"; do
        "${apt[@]}" install --no-install-recommends "$package" >>"$log" 2>&1 || say "Going on without: $package"
    done
    end_new_services "${as_root[@]}" >>"$log" 2>&1
    [ ${#new_services[@]} -eq 0 ] ||
        say "Stopped and disabled what these packages start now and at every boot: ${new_services[*]}. Nothing here needs it."
    rm -f "$log"
    missing_packages=()
    wanted_packages=()
}

# Debian's packages of servers start them, at every boot too. Who had none before is to have none running afterwards: what
# is run here starts servers of its own.
new_services=()
note_services() {
    local package
    new_services=()
    [ -d /run/systemd/system ] || return 0
    for package in "${missing_packages[@]}" "${wanted_packages[@]}"; do
        case "$package" in
            redis-server | postgresql | prometheus) systemctl --quiet is-enabled "$package" 2>/dev/null || new_services+=("$package") ;;
        esac
    done
}

# end_new_services [COMMAND-TO-BECOME-ROOT]
end_new_services() { [ ${#new_services[@]} -eq 0 ] || "$@" systemctl disable --now "${new_services[@]}" || true; }

# choose_build_dir: sets build_dir. It lies outside the sources, and is a source folder's and a user's own.
choose_build_dir() {
    local own
    own="$(basename "$source_dir")-$(printf '%s' "$source_dir" | cksum | cut -d' ' -f1)-$(id -u)"
    if [ -n "${SLUICE_BUILD_DIR:-}" ]; then
        build_dir="$SLUICE_BUILD_DIR"
        mkdir -p "$build_dir" || die "cannot create SLUICE_BUILD_DIR, $build_dir"
    else
        build_dir="${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/sluice/$own"
        mkdir -p "$build_dir" 2>/dev/null && [ -w "$build_dir" ] || build_dir="${TMPDIR:-/tmp}/sluice-$own"
        mkdir -p "$build_dir" || die "cannot create $build_dir"
    fi
    build_dir="$(cd "$build_dir" && pwd -P)"
}

# report_progress LOG: every 20 s how far ninja is, by the last "[n/m]" there. To be run in the background and ended.
report_progress() {
    while sleep 20 && kill -0 $$ 2>/dev/null; do
        sed -nE 's/^\[([0-9]+)\/([0-9]+)\].*/   \1 of \2 steps built/p' "$1" | tail -n 1
    done
}

# build NAME PRESET [TARGET|-D...]...: configures and builds in $build_dir/NAME. A failure does not keep the rest from being
# built; each is shown.
build() {
    local name="$1" preset="$2" options=() targets=() argument progress status=0
    local dir="$build_dir/$name" log="$build_dir/$name.log"
    shift 2
    for argument in "$@"; do
        case "$argument" in
            -D*) options+=("$argument") ;;
            *) targets+=(--target "$argument") ;;
        esac
    done
    rm -f "$dir/build.ninja"  # there again only if the configuration succeeds
    if (cd "$source_dir" && cmake --preset "$preset" -B "$dir" "${options[@]}") >"$log" 2>&1; then
        report_progress "$log" &
        progress=$!
        cmake --build "$dir" -j "$jobs" "${targets[@]}" -- -k 0 >>"$log" 2>&1 || status=$?
        kill "$progress" 2>/dev/null || true
        wait "$progress" 2>/dev/null || true
        [ "$status" -ne 0 ] || return 0
        awk '/^\[[0-9]+\/[0-9]+\]/ { failed = 0 } /^FAILED: / { failed = 1 } failed' "$log" | head -n 200 >&2
    else
        tail -n 60 "$log" >&2
    fi
    say "Building '$name' failed; the whole log is $log" >&2
    return 1
}
