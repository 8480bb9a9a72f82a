SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

ADDR ?= 127.0.0.1:8080
DATA ?= ./bailiwick-data
FUZZTIME ?= 30s
BENCHTIME ?= 1s
SLICE ?= 500ms
ROUNDS ?= 6
LOADTIME ?= 30s
SOAKTIME ?= 5m
MANYKEYS ?= 100000
REVOCATIONS ?= 2000
KILLS ?= 20
SCHEDULES ?= 100000
SEQUENCES ?= 10000
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)

# All default checks but two: 404 is as clear as http.StatusNotFound, and the
# deprecated halves of MCP (sessions, SSE) are served and tested on purpose.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2 -checks inherit,-ST1013,-SA1019
E2E := ./cmd/bailiwick/e2e
SPEED := ./cmd/bailiwick/bench
FIXTURES := testdata/e2e
# The race detector looks at everything that runs in the test's own process;
# the end-to-end tests drive a binary, so it would see nothing of theirs.
RACE_PACKAGES = $(shell go list ./... | grep -vE '/cmd/bailiwick/(e2e|bench)')

.PHONY: help run build test unit e2e conformance test-containers load soak manykeys flood capacity replicas postgres-kills failover promise sequences lint fuzz bench verify deps clean

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build ## Serve on SQLite in ./bailiwick-data with a sample upstream, and show how to connect
	@bin/bailiwick serve --addr $(ADDR) --data $(DATA) --mcp-config cmd/notes/mcp.json | cmd/notes/welcome.sh $(DATA)

build: ## Build bin/bailiwick and the sample upstream bin/notes
	go build -ldflags '-X main.version=$(VERSION)' -o bin/bailiwick ./cmd/bailiwick
	go build -o bin/notes ./cmd/notes

test: unit e2e ## Run all tests, with real databases, MCP servers and clients

unit: ## Run the tests of the packages, under the race detector
	@.ci/postgres || [ -z "$$CI" ]
	go test -race -timeout 20m $(RACE_PACKAGES)
	@.ci/postgres || true

# -count=1: the test's cache does not know of the binary that it builds.
e2e: deps ## Run the end-to-end tests against real MCP servers and clients
	go test -count=1 -timeout 10m $(E2E) $(SPEED)

conformance: deps ## Run the official MCP conformance suite through a real server (part of e2e)
	go test -count=1 -timeout 5m -run '^TestConformance$$' $(E2E)

test-containers: ## Run the store's tests on a Postgres that testcontainers starts (needs Docker)
	DB_TEST_CONTAINERS=require go test -count=1 ./db/...

load: ## Let 200 clients change keys at once for LOADTIME (default 30s) on a real Postgres, and show p50 and p99
	go test -count=1 -v -timeout 10m -run '^TestLoad$$' $(E2E) -load $(LOADTIME)

soak: deps ## Put mixed load on a server for SOAKTIME (default 5m) on each store, and hold that it keeps nothing of it
	go test -count=1 -v -timeout 60m -run '^TestSoak$$' $(E2E) -soak $(SOAKTIME)

flood: ## Flood a server with 100,000 bad checksums and 20,000 unknown keys, and hold that good keys' p99 at most doubles
	go test -count=1 -v -timeout 60m -run '^TestFlood$$' $(E2E) -flood 100000 -floodhold

manykeys: ## Fill a store with MANYKEYS keys (default 100000) and show what a start, authentication and lists cost
	go test -count=1 -v -timeout 60m -run '^TestManyKeys$$' $(E2E) -manykeys $(MANYKEYS)

capacity: deps ## Print the inputs of docs/capacity.md, as measured on this machine
	@uptime
	go test -count=1 -v -timeout 30m -run '^TestCapacity$$' $(E2E) -capacity 10s

replicas: ## Let three servers on one Postgres decide while REVOCATIONS keys (default 2000) are taken away, one server stopped, cut off, killed
	go test -count=1 -v -timeout 60m -run '^TestReplicas$$' $(E2E) -revocations $(REVOCATIONS)

postgres-kills: ## Kill Postgres KILLS times (default 20) under 500 calls and 20 edits a second, and hold each recovery to 3 s
	go test -count=1 -v -timeout 60m -run '^TestPostgresKills$$' $(E2E) -kills $(KILLS) -recover-in 3s

failover: ## Promote a standby, and freeze Postgres for 30 s, under 500 calls and 20 edits a second
	go test -count=1 -v -timeout 60m -run '^TestPostgres(FailsOver|Freezes)$$' $(E2E) -freeze 30s -recover-in 3s

promise: ## Hold the replicas' promise over SCHEDULES random schedules (default 100000)
	go test -count=1 -v -timeout 60m -run '^TestPromise$$' ./keys -schedules $(SCHEDULES)

sequences: ## Hold that no sequence of edits of keys exceeds the first key, over 3 x SEQUENCES random ones (default 10000)
	go test -count=1 -v -timeout 60m -run '^TestNoSequenceOfEdits' ./keys -rapid.checks $(SEQUENCES)

lint: ## Check formatting, go vet, staticcheck, and that nothing local is committed
	@files=$$(gofmt -l cmd mcp keys policy db store guard examples); [ -z "$$files" ] || { echo "not gofmt-ed (run gofmt -w on them):"; echo "$$files"; exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...
	@.ci/lint-local

fuzz: ## Run each fuzz target for FUZZTIME (default 30s)
	@.ci/fuzz $(FUZZTIME)

bench: ## Measure calls beside a reverse proxy, lists, memory, streams, decisions and start-up
	go test -count=1 -v -timeout 30m -run '^Test' $(SPEED) -slice $(SLICE) -settle 500ms -rounds $(ROUNDS) -many 10000
	go test -run '^$$' -bench . -benchtime $(BENCHTIME) -benchmem ./policy/... ./keys/... ./mcp/...
	go test -run '^$$' -bench . -benchtime 10x $(E2E)

verify: ## Regenerate golden files and go.mod, and fail when they differ
	go mod tidy -diff
	@.ci/verify-golden

deps: $(FIXTURES)/node_modules/.package-lock.json ## Install the npm packages of the end-to-end tests

$(FIXTURES)/node_modules/.package-lock.json: $(FIXTURES)/package-lock.json
	npm ci --prefix $(FIXTURES) --ignore-scripts --no-audit --no-fund
	@touch $@

clean: ## Remove what was built (not ./bailiwick-data)
	rm -rf bin $(FIXTURES)/node_modules
