// Package db keeps everything in a database: Postgres (or YugabyteDB,
// CockroachDB) when several replicas share the state, SQLite in one file
// otherwise. [DB] is a keys.Store; keystest.Run says what that promises.
//
// The data flow of an edit: lock the one row of the epoch table, run the
// caller's function over the transaction, count the epoch up at its first
// write, write rows with version = epoch, and at the end one change row for
// each thing changed and a notification; commit. Because every edit takes that
// row first, edits are serialized and epoch order is commit order.
//
// Answers and logins are beside all that: no replica keeps them, so writing them
// alone uses no epoch and makes no change row, but it waits for other edits.
//
// One set of statements and one migration serve all databases: app-made ids,
// text, bigint, timestamptz and jsonb, ON CONFLICT and RETURNING; no triggers,
// no sequences, no advisory locks. What differs is how a database is opened
// (postgres.go, sqlite.go), row locks and the notification.
//
// Row structs are not domain types: each noun's file has its row and the two
// converters. The package returns errors and does not log.
//
// Neighbours: keys below; cmd opens it; db/dbtest gives tests their databases.
package db
