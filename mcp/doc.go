// Package mcp is the server side of Model Context Protocol and the gateway to
// the mounted servers: the edge that authenticates and decides, the catalog of
// tools, the built-in tools, and the transports (streamable HTTP, SSE, stdio).
//
// The data flow of a request: the transport hands one JSON-RPC message and its
// principal to the edge; the edge reads the envelope once, classifies the
// method, and asks the gate, which is the one function that decides (a method
// that nothing classifies is refused). tools/list is spliced from pre-encoded
// definitions, tools/call goes to the tool's upstream as raw bytes and its
// answer comes back as raw bytes; everything else goes on to mcp-go's server of
// the tenant, whose tool filter asks the same gate again.
//
// Neighbours: keys (the Service, principals) and policy below; mcp/upstream for
// the connections to mounted servers; cmd above. It never imports db or keys/rest.
package mcp
