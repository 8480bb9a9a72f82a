// Package dbtest gives tests real databases: a SQLite file, and a Postgres
// database of their own on a server that is started once per test process.
//
// The server is, in this order: that of TEST_POSTGRES_URL; a container, where a
// Docker daemon answers and the image (TESTCONTAINERS_PG_IMAGE, by default
// postgres:17-alpine) is there or can be pulled; a private cluster of the
// Postgres binaries on this machine. Without any of them the test is skipped,
// and fails when CI=true. DB_TEST_CONTAINERS=require takes a container or
// fails; DB_TEST_CONTAINERS=off leaves them out.
//
// A test that kills its server, freezes it or promotes a standby takes a cluster
// of its own, from the binaries on this machine: [Durable].
//
// Each test gets a migrated database of its own, copied from a template.
package dbtest
