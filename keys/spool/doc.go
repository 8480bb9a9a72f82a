// Package spool keeps audit entries on disk while the store can't be reached: a
// [Spool] is a keys.Spool.
//
// It is a folder (mode 0700) with files (mode 0600) of each process that had to
// use one: several servers may share the folder. A file is made at the first
// entry, and a new one when it has a sixteenth of the limit; it is locked for as
// long as its process lives, and removed when all of it is written. [Open] adopts
// the files whose process is dead.
//
// A file is a line for each entry: eight hexadecimal digits of the CRC-32
// (Castagnoli) of what follows the space, and the entry as JSON. The lines only
// ever grow, by whole batches that are on disk (fsync) before Append returns; a
// crash can tear the last batch alone. A line that is torn or damaged is passed
// over and counted, never taken for an entry, and costs no other line; a file with
// a damaged line in it is kept, renamed to end in .damaged.
//
// A file that is left over is written from its start, so some of its entries may
// be in the store already: keys.Store skips ids that it knows.
//
// Libraries for this were looked at: tidwall/wal has no checksums and refuses to
// open a torn log, nsqio/go-diskqueue forgets a message when it hands it out and
// puts a whole file aside at one damaged message.
//
// Neighbours: keys above it has the interface; filelock below; cmd opens it.
package spool
