#!/bin/bash
# Stands in for the entrypoint of the postgres image: POSTGRES_USER,
# POSTGRES_PASSWORD, POSTGRES_DB, one start to set up and one to serve, so that
# "ready to accept connections" is logged twice, as testcontainers waits for.
set -euo pipefail
PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
: "${POSTGRES_USER:=postgres}" "${POSTGRES_DB:=$POSTGRES_USER}" "${POSTGRES_PASSWORD:?is missing}"
data=/var/lib/postgresql/data
if [ "$(id -u)" = 0 ]; then
	mkdir -p "$data" /run/postgresql
	chown postgres "$data" /run/postgresql
	chmod 700 "$data"
	exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi
if [ ! -s "$data/PG_VERSION" ]; then
	initdb -D "$data" -U "$POSTGRES_USER" -E UTF8 --locale=C -A scram-sha-256 --pwfile=<(echo "$POSTGRES_PASSWORD")
	echo "host all all all scram-sha-256" >>"$data/pg_hba.conf"
	pg_ctl -D "$data" -o "-c listen_addresses=" -w start
	if [ "$POSTGRES_DB" != postgres ]; then
		PGPASSWORD=$POSTGRES_PASSWORD createdb -U "$POSTGRES_USER" -h /var/run/postgresql "$POSTGRES_DB"
	fi
	pg_ctl -D "$data" -m fast -w stop
fi
[ "${1-}" != postgres ] || shift # the image's own command, with which options come
exec postgres -D "$data" -c listen_addresses='*' "$@"
