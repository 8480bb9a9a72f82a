package mcp

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync/atomic"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	mcpserver "github.com/mark3labs/mcp-go/server"

	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// tenant is what the gateway keeps of one tenant: its catalog of the moment
// and an mcp-go server of its own. One server for several tenants would let
// one cancel another's requests, for its keys are only session and request id.
type tenant struct {
	id      string
	catalog atomic.Pointer[catalog]
	// projects are the tenant's, while arguments of its tools may name them; nil = not
	// known, and then no argument names any.
	projects atomic.Pointer[policy.Projects]
	server   *mcpserver.MCPServer
	info     []byte // the server's Implementation object
}

// tenantOf makes a tenant's part of the gateway when it is first asked for.
func (g *Gateway) tenantOf(id string) *tenant {
	g.mu.Lock()
	defer g.mu.Unlock()
	if t := g.tenants[id]; t != nil {
		return t
	}
	t := &tenant{id: id}
	t.info, _ = json.Marshal(mcpgo.Implementation{Name: g.cfg.Name, Version: g.cfg.Version})
	c, _, err := newCatalog(g.builtins, nil)
	if err != nil { // the built-ins alone always make one
		c = &catalog{}
	}
	t.catalog.Store(c)
	t.server = g.newServer()
	g.tenants[id] = t
	return t
}

func (g *Gateway) tenantIDs() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Collect(maps.Keys(g.tenants))
}

// newServer makes mcp-go's part: the handshake, discovery, ping, the log level
// and the dispatch of built-in tools. Transports are ours, because mcp-go's
// (v1.2.1) bind no session to a credential, bound no body, check no Origin,
// match JSON keys whatever their case, and send the progress of parallel calls
// on one another's streams.
func (g *Gateway) newServer() *mcpserver.MCPServer {
	s := mcpserver.NewMCPServer(g.cfg.Name, g.cfg.Version,
		mcpserver.WithToolCapabilities(true),
		mcpserver.WithPromptCapabilities(true),
		mcpserver.WithResourceCapabilities(true, true),
		mcpserver.WithCompletions(),
		mcpserver.WithLogging(),
		mcpserver.WithTaskCapabilities(false, true, true),
		mcpserver.WithExtensions(map[string]any{upstream.TasksExtension: struct{}{}}),
		mcpserver.WithRecovery(),
		mcpserver.WithToolFilter(g.filter),
	)
	for i := range g.builtins {
		s.AddTool(g.builtins[i].registration(), g.builtins[i].handle)
	}
	return s
}

// filter asks the gate again, inside mcp-go: a request that came here on any
// way but the edge has no principal in its context and gets nothing.
func (g *Gateway) filter(ctx context.Context, tools []mcpgo.Tool) []mcpgo.Tool {
	r := requestFrom(ctx)
	if r == nil {
		return nil
	}
	var out []mcpgo.Tool
	for _, t := range tools {
		q := r.question(g)
		q.method, q.target = string(mcpgo.MethodToolsCall), target{kindTool, t.Name}
		if decide(q).allowed() {
			out = append(out, t)
		}
	}
	return out
}

// ask hands one request to mcp-go's server and answers its result or error.
// The id is ours, so that no two principals' ids ever meet in it, and numbers
// too big for a float64 stay what they are.
func (t *tenant) ask(ctx context.Context, r *request, method string, params json.RawMessage) (json.RawMessage, *mcpgo.JSONRPCErrorDetails) {
	body := append([]byte(`{"jsonrpc":"2.0","id":1,"method":`), rawjson.Quote(method)...)
	if params != nil {
		body = append(append(body, `,"params":`...), params...)
	}
	body = append(body, '}')
	ctx = t.server.WithContext(withRequest(ctx, r), newEngineSession(r))
	switch answer := t.server.HandleMessage(ctx, body).(type) {
	case mcpgo.JSONRPCResponse:
		raw, err := json.Marshal(answer.Result)
		if err != nil {
			break
		}
		return raw, nil
	case mcpgo.JSONRPCError:
		return nil, &answer.Error
	}
	return nil, &mcpgo.JSONRPCErrorDetails{Code: mcpgo.INTERNAL_ERROR, Message: "internal error"}
}

// engineSession is the session that mcp-go sees: one for each message, named
// by the principal and by nothing that another principal could name.
type engineSession struct {
	id      string
	session *session
	out     chan mcpgo.JSONRPCNotification
}

func newEngineSession(r *request) *engineSession {
	id := r.principal.TenantID() + "/" + r.principal.ID() + "/" + newReference()
	return &engineSession{id: id, session: r.session, out: make(chan mcpgo.JSONRPCNotification, 1)}
}

func (s *engineSession) Initialize()       {}
func (s *engineSession) Initialized() bool { return true }
func (s *engineSession) SessionID() string { return s.id }
func (s *engineSession) NotificationChannel() chan<- mcpgo.JSONRPCNotification {
	return s.out
}

// SetLogLevel keeps the level for the messages of calls in this session.
func (s *engineSession) SetLogLevel(level mcpgo.LoggingLevel) {
	if s.session != nil {
		s.session.logLevel.Store(&level)
	}
}

// GetLogLevel is what was set last, "" at first.
func (s *engineSession) GetLogLevel() mcpgo.LoggingLevel {
	if s.session == nil {
		return ""
	}
	if level := s.session.logLevel.Load(); level != nil {
		return *level
	}
	return ""
}

var _ mcpserver.SessionWithLogging = (*engineSession)(nil)
