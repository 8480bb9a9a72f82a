// Package upstream is one supervised connection to one mounted MCP server, over
// stdio, streamable HTTP or SSE, or in memory to one inside this process (streamable
// HTTP over pipes: embedded.go), of either protocol era (initialize handshake
// up to 2025-11-25, stateless 2026-07-28).
//
// It knows nothing of keys and policies. Messages pass as raw JSON: no schema
// keyword, content type or big integer is lost on the way.
//
// The data flow of a call: Call takes the live session, which encodes one
// request (call.go, message.go) and hands it to its link, the connection
// of one transport (child.go, streamable.go, sse.go). What comes back is read
// once (mcp/rawjson), finds its request by id or progress token (mux.go), and is
// returned as the bytes that came, without the modern era's own members
// (edit.go). Run keeps the session: it makes the link, shakes hands in the
// upstream's era (handshake.go), reads the list (list.go), reads it again when
// the upstream says that it changed (follow.go), and begins anew when the link is
// lost (supervise.go, backoff.go). Over plain HTTP, requests go out by http1, all
// others by net/http (dial.go).
//
// The other way: what an upstream of the legacy era asks during a call finds the
// call that it belongs to (callers.go has the rule), whose Ask answers
// (questions.go); one of the modern era asks by a result of another kind
// (Reply.Type). Updates of resources and a log level are wanted by the clients
// together, over all sessions (wishes.go), and each session makes that known in its
// era's way (follow.go, listen.go). Every other notification is Config.OnNotification's.
//
// What an upstream gets: of this process's environment only a fixed list
// (environ.go), of this network only public addresses unless the Config says
// otherwise (dial.go), of the client nothing but the call and its capabilities. No
// proxy is used for HTTP. It never gets a client's roots on a legacy connection:
// they would change what a server opens for all who share it.
package upstream
