// Package e2e drives the built binary as its users do: real MCP servers from
// npm behind it, real clients in front of it (the TypeScript SDK in both its
// generations and the MCP Inspector's command line, see testdata/e2e), and raw
// HTTP where bytes are compared. It holds tests and two measurements
// (start-up, idle memory), no code that anything imports.
//
// The data flow of a test: serve starts the binary on an empty folder and
// reads its first key; mount creates projects and instances over REST; a key
// made over REST goes to a client; what the client saw is compared with a
// naive reading of the upstream's own answer.
//
// TestEras is the table of what each pair of a client's and an upstream's era and
// transport can do, and of what it can't; its upstream is eraserver, of exactly one
// era.
//
// The conformance suite of the protocol's makers is one more client
// (TestConformance): it runs against conformanceserver, alone and mounted, and
// every check that fails must be named in testdata/conformance.
package e2e
