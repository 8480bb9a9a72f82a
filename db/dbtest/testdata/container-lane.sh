#!/bin/bash
# Runs the container lane on a Debian machine without a Docker daemon and
# without a registry, as root: a daemon in a network namespace of its own, and an
# image of the distribution's Postgres. Where a daemon runs already,
# `make test-containers` is all that is needed.
#
# Needs: apt-get install docker.io iptables mmdebstrap, and a warm module cache.
# LANE_ROOT (a folder outside of the checkout) keeps the image between runs.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
lane=${LANE_ROOT:-$(mktemp -d)}
mkdir -p "$lane"
space=bailiwick-lane-$$
docker() { command docker -H "unix://$lane/docker.sock" "$@"; }

[ -s "$lane/root.tar" ] || mmdebstrap --variant=minbase --include=postgresql bookworm "$lane/root.tar"

ip netns add "$space"
ip -n "$space" link set lo up
nsenter --net="/run/netns/$space" dockerd --data-root "$lane/data" --exec-root "$lane/exec" \
	--pidfile "$lane/docker.pid" -H "unix://$lane/docker.sock" >"$lane/dockerd.log" 2>&1 &
daemon=$!
finish() {
	docker ps -aq | xargs -r docker -H "unix://$lane/docker.sock" rm -f >/dev/null 2>&1 || true
	kill "$daemon" 2>/dev/null || true
	wait "$daemon" 2>/dev/null || true
	ip netns delete "$space"
}
trap finish EXIT
for _ in $(seq 100); do
	docker info >/dev/null 2>&1 && break
	kill -0 "$daemon" || { tail "$lane/dockerd.log"; exit 1; }
	sleep 0.1
done

cp "$lane/root.tar" "$lane/image.tar"
tar -rf "$lane/image.tar" --owner=0 --group=0 -C "$here" container-entrypoint.sh
docker import --change 'ENTRYPOINT ["/container-entrypoint.sh"]' "$lane/image.tar" bailiwick-postgres:test >/dev/null

cd "$here/../../.."
nsenter --net="/run/netns/$space" env DOCKER_HOST="unix://$lane/docker.sock" GOPROXY=off \
	TESTCONTAINERS_RYUK_DISABLED=true TESTCONTAINERS_HOST_OVERRIDE=127.0.0.1 \
	TESTCONTAINERS_PG_IMAGE=bailiwick-postgres:test DB_TEST_CONTAINERS=require \
	go test -count=1 "$@" ./db/...
