// Package bearertest is an OpenID provider for tests: discovery, keys, and
// tokens of every sort, right and wrong. It signs with the standard library
// alone, so that it shares no mistake with what it is a test of.
//
// The data flow: a test orders a token ([Provider.Token], or POST
// /control/token in another process), and the server under test fetches the
// provider's documents over HTTP. Neighbours: the tests of keys/bearer, and
// the provider's own process in the end-to-end tests.
package bearertest
