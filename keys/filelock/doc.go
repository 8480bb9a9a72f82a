// Package filelock locks a file for as long as a process lives: flock on Unix,
// LockFileEx on Windows. The lock goes with the process, however that ends.
//
// It stands beside the domain and imports nothing of ours: cmd keeps a second
// server from a SQLite file with it, keys/spool knows a dead process's files by it.
package filelock
