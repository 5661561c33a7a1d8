# SPDX-License-Identifier: MIT
# A Postgres of our own for examples/run and benchmarks/run, sourced after common.sh: on a unix socket in a temporary
# folder. It refuses to run as root, who lends it the account "postgres" that its package brings.

postgres_program() { have "$1" || ls -d /usr/lib/postgresql/*/bin/"$1" 2>/dev/null | sort -V | tail -n 1; }

postgres_needs() {
    need libpq-dev have_header postgresql/libpq-fe.h
    need postgresql eval '[ -n "$(postgres_program initdb)" ]'
}

as_postgres() {
    if [ "$(id -u)" -eq 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi
}

# Sets postgres_folder and postgres_connection.
start_postgres() {
    local options
    postgres_folder="$(mktemp -d)"
    options="-c listen_addresses='' -c unix_socket_directories='$postgres_folder' -c fsync=off -c shared_buffers=64MB"
    [ "$(id -u)" -ne 0 ] || chown postgres "$postgres_folder"
    postgres_connection="host=$postgres_folder user=sluice dbname=postgres"
    (cd "$postgres_folder" &&
        as_postgres "$(postgres_program initdb)" -D data -U sluice -A trust --no-sync --no-locale -E UTF8 &&
        as_postgres "$(postgres_program pg_ctl)" -D data -l log -w -t 60 -o "$options" start) >"$postgres_folder.log" 2>&1 || {
        cat "$postgres_folder.log" >&2
        die "Postgres does not start"
    }
}

stop_postgres() {
    [ -n "${postgres_folder:-}" ] || return 0
    (cd "$postgres_folder" && as_postgres "$(postgres_program pg_ctl)" -D data -m immediate stop) >/dev/null 2>&1 || true
    rm -rf "$postgres_folder" "$postgres_folder.log"
}
