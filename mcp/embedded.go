package mcp

import (
	"net/http"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// Embedded is an MCP server inside this program, which its gateway puts behind
// keys. It is an instance like any other to policies, the audit trail and
// explanations, and its gateway serves nothing else: no other instance, and none
// of the built-in tools. So clients see its names as they are, without the slug;
// to policies they have it.
type Embedded struct {
	Instance string       // id, of an instance that keys.Service.Embed made
	Handler  http.Handler // the server: streamable HTTP at /mcp, for nobody but the gateway
}

func (e *Embedded) handler() http.Handler {
	if e == nil {
		return nil
	}
	return e.Handler
}

// reachable tells whether an instance can be mounted here at all. A program's own
// server is reached by that program alone: elsewhere its tools are unknown, for
// none of them could be called.
func (g *Gateway) reachable(i *keys.Instance) bool {
	if e := g.cfg.Embedded; e != nil {
		return i.ID == e.Instance
	}
	return i.Transport != keys.TransportEmbedded
}
