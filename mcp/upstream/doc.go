// Package upstream is one supervised connection to one mounted MCP server, over
// stdio, streamable HTTP or SSE, of either protocol era (initialize handshake
// up to 2025-11-25, stateless 2026-07-28).
//
// It knows nothing of keys and policies. Messages pass as raw JSON: no schema
// keyword, content type or big integer is lost on the way.
package upstream
