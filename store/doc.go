// Package store opens what Bailiwick keeps, the way every program on it does: a
// SQLite file in a data folder or a Postgres database, with the root secret
// without which no key of it can be checked.
//
// Open is the whole data flow: it finds the root secret (a text, a file, or the
// data folder, where one is made for a new store), opens the database (db), and
// makes the Service (keys) on both. Several programs may have one store open;
// those that decide (keys.Config.Decides) are told of each other's edits.
//
// Neighbours: keys and db below; guard and the command line above.
package store
