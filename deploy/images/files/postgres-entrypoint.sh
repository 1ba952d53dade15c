#!/bin/bash
# Runs PostgreSQL on PGDATA; the first start makes the cluster with POSTGRES_PASSWORD. A first start that was cut short
# starts over: the marker is written last.
set -euo pipefail
: "${PGDATA:=/data/pgdata}"
export PGDATA
if [ ! -e "$PGDATA/.initialized" ]; then
  : "${POSTGRES_PASSWORD:?set POSTGRES_PASSWORD}"
  mkdir -p "$PGDATA"
  find "$PGDATA" -mindepth 1 -delete
  initdb --username=postgres --pwfile=<(echo "$POSTGRES_PASSWORD") --auth-host=scram-sha-256 --auth-local=trust \
    --encoding=UTF8 --locale=C.UTF-8 --data-checksums
  echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
  sync "$PGDATA/pg_hba.conf"
  touch "$PGDATA/.initialized"
fi
# The kubelet gives a volume's files to the pod's group at every mount; PostgreSQL wants its own alone.
chmod 0700 "$PGDATA"
exec postgres -c listen_addresses='*' -c unix_socket_directories=/tmp -c jit=off "$@"
