// Package upstream is one supervised connection to one mounted MCP server, over
// stdio, streamable HTTP or SSE, of either protocol era (initialize handshake
// up to 2025-11-25, stateless 2026-07-28).
//
// It knows nothing of keys and policies. Messages pass as raw JSON: no schema
// keyword, content type or big integer is lost on the way.
//
// The data flow of a call: Call takes the live session, which encodes one
// tools/call (session.go, message.go) and hands it to its link, the connection
// of one transport (child.go, streamable.go, sse.go; over plain HTTP on
// connections of our own, wires.go). What comes back is read once (mcp/rawjson), finds its request by id or progress token (mux.go), and is
// returned as the bytes that came, without the modern era's own members
// (edit.go). Run keeps the session: it makes the link, shakes hands in the
// upstream's era (handshake.go), reads the list (list.go), reads it again when
// the upstream says that it changed, and begins anew when the link is lost
// (supervise.go, backoff.go).
//
// What an upstream gets: of this process's environment only a fixed list
// (environ.go), of this network only public addresses unless the Config says
// otherwise (dial.go), of the client nothing but the call. No proxy is used for
// HTTP. What it cannot do yet: ask the client for something (sampling,
// elicitation, roots); no such capability is declared to it.
package upstream
