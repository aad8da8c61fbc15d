#!/bin/bash
# Initialise an empty volume as the official image does: the password, then the scripts, which see
# a server that listens on its socket only. Then become the command.
set -euo pipefail
if [[ "$1" == postgres && ! -e "$PGDATA/PG_VERSION" ]]; then
    initdb --username=postgres --encoding=UTF8 --locale=C.UTF-8 --pwfile=<(echo "$POSTGRES_PASSWORD") --auth-local=trust --auth-host=scram-sha-256
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
    echo "listen_addresses = '*'" >>"$PGDATA/postgresql.conf"
    pg_ctl --wait --options="-c listen_addresses=''" start
    for script in /docker-entrypoint-initdb.d/*.sh; do
        # shellcheck source=/dev/null
        if [[ -x "$script" ]]; then "$script"; else . "$script"; fi
    done
    pg_ctl --wait --mode=fast stop
fi
exec "$@"
