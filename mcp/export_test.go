package mcp

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// What external tests need of the inside.

// MaxDepth is how deep a message may nest.
const MaxDepth = maxDepth

// Envelope is what was read of a message.
type Envelope struct {
	ID, Params, Arguments, Meta, Progress json.RawMessage
	Method, Name, Version                 string
	Response                              bool
}

// ReadMessage reads one message as the edge does.
func ReadMessage(body []byte) (Envelope, error) {
	m, err := readMessage(body)
	if err != nil {
		return Envelope{}, err
	}
	if m == nil {
		return Envelope{Response: true}, nil
	}
	return Envelope{ID: m.id, Params: m.params, Arguments: m.arguments, Meta: m.meta, Progress: m.progress,
		Method: m.method, Name: m.name, Version: m.version}, nil
}

// MessageOf is what readMessage makes of a body.
func MessageOf(body []byte) (*message, error) { return readMessage(body) }

// Answer is the body of the answer to one message of a principal, without a
// transport.
func Answer(g *Gateway, p keys.Principal, m *message) []byte {
	r := &request{msg: m, era: eraLegacy, edits: g.edits.Load(), principal: p, tenant: g.tenantOf(p.TenantID()), narrowing: unnarrowed}
	if m.version != "" {
		r.era = eraModern
	}
	return g.dispatch(context.Background(), r).body
}

// Methods are the classified methods.
func Methods() []string {
	out := []string{}
	for name := range methods {
		out = append(out, name)
	}
	return out
}

// Classify answers a tool's category and effect.
var Classify = classify

// Expose, DigestOf, Complete work on raw JSON.
var (
	Expose   = expose
	DigestOf = digestOf
	Complete = complete
)

// CompleteResult is the body that completeResult makes, and the one that
// complete and result make of the same.
func CompleteResult(id, raw, info []byte) (got, want string) {
	return string(completeResult(id, raw, info).body), string(result(id, complete(raw, info)).body)
}

// MayCall asks the gate for a tool as a request of the principal would.
func MayCall(g *Gateway, p keys.Principal, tenantID, name string) bool {
	r := &request{principal: p, tenant: g.tenantOf(tenantID), era: eraLegacy, msg: &message{method: "tools/call", name: name}}
	return decide(r.question(g, name)).allowed()
}

// AskEngine sends one request straight to mcp-go's server of a tenant, past
// the edge: with the principal's request in its context, or with none at all.
func AskEngine(g *Gateway, p *keys.Principal, tenantID, body string) string {
	t := g.tenantOf(tenantID)
	ctx := context.Background()
	if p != nil {
		r := &request{principal: *p, tenant: t, era: eraLegacy, msg: &message{method: "tools/call"}}
		ctx = t.server.WithContext(withRequest(ctx, r), newEngineSession(r))
	}
	raw, err := json.Marshal(t.server.HandleMessage(ctx, json.RawMessage(body)))
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

// Admit does what a tools/call costs beside reading it and passing it on:
// checking who asks, deciding, and recording.
func Admit(g *Gateway, w http.ResponseWriter, hr *http.Request, m *message) bool {
	v, problem := g.enter(w, hr)
	if problem != nil {
		return false
	}
	r := &request{msg: m, era: eraLegacy, edits: v.edits, principal: v.principal, tenant: v.tenant, narrowing: v.narrowing}
	decided := decide(r.question(g, m.name))
	g.recordCall(hr.Context(), r, decided, outcomeOK, time.Millisecond)
	return decided.allowed()
}
