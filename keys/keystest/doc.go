// Package keystest holds what the stores are measured by: [Run] is the
// contract of keys.Store as tests, and [Memory] a Store in memory that passes
// it, for the tests of everything above.
//
// Neighbours: keys above it declares the contract; db runs it against its
// databases.
package keystest
