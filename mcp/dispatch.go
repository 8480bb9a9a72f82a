package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// dispatch decides one message and answers it. Every transport ends here, and
// nothing is done before the gate's answer.
func (g *Gateway) dispatch(ctx context.Context, r *request) reply {
	g.awaitLoaded(ctx)
	if problem := g.renew(ctx, r); problem != nil {
		return problemReply(*problem)
	}
	if r.msg.isRequest() {
		if problem := g.mayRecord(ctx, r.principal); problem != nil {
			return problemReply(*problem)
		}
	}
	v := decide(r.question(g))
	if p := keyProblem(r.principal, v.decision); p != nil {
		g.recordDenial(ctx, r, v, newReference())
		return problemReply(*p)
	}
	if !r.msg.isRequest() {
		g.notified(r, v.class)
		return accepted()
	}
	if v.class != classCall && v.class != classTask && !v.allowed() {
		return refusal(r.era, r.msg.id, mcpgo.METHOD_NOT_FOUND, "Method not found", nil)
	}
	switch v.class {
	case classProtocol:
		return g.protocol(ctx, r)
	case classList:
		return g.list(ctx, r, methods[r.msg.method].kind)
	case classCall:
		return g.call(ctx, r, v)
	case classTask:
		return g.task(ctx, r, v)
	case classListen:
		return g.subscribe(ctx, r)
	}
	return refusal(r.era, r.msg.id, mcpgo.METHOD_NOT_FOUND, "Method not found", nil)
}

// renew reads the principal again when an edit came after its credential was
// checked, for instance while the body was on its way.
func (g *Gateway) renew(ctx context.Context, r *request) *wire.Problem {
	// Before the edits are counted: from here on, all that have answered are.
	if err := g.svc.Fresh(); err != nil {
		problem := credentialProblem(err)
		return &problem
	}
	seen := g.edits.Load()
	if seen == r.edits {
		return nil
	}
	p, err := g.svc.Refresh(ctx, r.principal)
	if err != nil {
		problem := credentialProblem(err)
		return &problem
	}
	r.principal, r.edits = p, seen
	return nil
}

// mayRecord refuses a request while the audit trail takes no more, before
// anything is decided: no call is made, and none denied, without a record.
func (g *Gateway) mayRecord(ctx context.Context, p keys.Principal) *wire.Problem {
	if err := g.svc.AuditRoom(ctx, p.TenantID()); err != nil {
		problem := wire.AuditFull()
		return &problem
	}
	return nil
}

// mayConnect says why a key may not speak MCP at all, and records it.
func (g *Gateway) mayConnect(ctx context.Context, p keys.Principal, action string) *wire.Problem {
	now := g.cfg.Now()
	d := p.Grant().DecideKey(now)
	if p.Valid() && d.Allowed() {
		return nil
	}
	problem := keyProblem(p, d)
	if problem == nil {
		unknown := wire.Unauthenticated()
		return &unknown
	}
	if full := g.mayRecord(ctx, p); full != nil {
		return full
	}
	r := &request{principal: p, msg: &message{method: action}}
	g.recordDenial(ctx, r, verdict{who: p, at: now, decision: d}, newReference())
	return problem
}

// notified takes a notification. One that is not classified as such, or a
// request without an id, does nothing.
func (g *Gateway) notified(r *request, class methodClass) {
	if class == classCancel && r.session != nil {
		if id := rawjson.Field(r.msg.params, "requestId"); id != nil {
			r.session.cancelRequest(string(id))
		}
	}
}

// protocol passes on what mcp-go's server answers right: initialize, ping,
// logging/setLevel, server/discover.
func (g *Gateway) protocol(ctx context.Context, r *request) reply {
	raw, failed := r.tenant.ask(ctx, r, r.msg.method, r.msg.params)
	if failed == nil {
		return result(r.msg.id, tasksOfEra(r.msg.method, raw))
	}
	if failed.Code == mcpgo.INVALID_REQUEST {
		// The envelope is checked already, so the params could not be decoded;
		// mcp-go's words for that name types of Go.
		problem := "params are not those of " + r.msg.method
		if v := rawjson.Field(r.msg.params, "protocolVersion"); v != nil && v[0] != '"' {
			problem = "params.protocolVersion must be a string"
		}
		return refusal(r.era, r.msg.id, mcpgo.INVALID_PARAMS, problem, nil)
	}
	var data json.RawMessage
	if failed.Data != nil {
		data, _ = json.Marshal(failed.Data)
	}
	return refusal(r.era, r.msg.id, failed.Code, failed.Message, data)
}

// keyProblem says why a key, or the subject of a JWT, may not speak MCP at all;
// nil when that is not why.
func keyProblem(who keys.Principal, d policy.Decision) *wire.Problem {
	var p wire.Problem
	switch d.Reason() {
	case policy.RuleRevoked, policy.RuleExpired, policy.RuleDisabled:
		p = wire.Unauthenticated()
	case policy.RuleTenantMCP:
		p = wire.NewProblem(http.StatusForbidden, "mcp_disabled", "MCP is switched off for this organization")
	case policy.RuleScope:
		p = wire.NewProblem(http.StatusForbidden, "scope_denied", "this key's scope does not open MCP: use a key of scope full or mcp_only")
	case policy.RulePaused:
		if who.IsSubject() {
			p = wire.NewProblem(http.StatusForbidden, "key_paused",
				"MCP is closed to tokens in this organization: open it with its jwtPolicy (mcpActive), or use an API key")
			break
		}
		p = wire.NewProblem(http.StatusForbidden, "key_paused", "MCP access of this key is paused: resume it (mcpActive) or use another key")
	default:
		return nil
	}
	return &p
}

// credentialProblem translates an error of authentication.
func credentialProblem(err error) wire.Problem {
	var (
		invalid *keys.InvalidError
		busy    *keys.BusyError
	)
	switch {
	case errors.As(err, &busy):
		return wire.NewProblem(http.StatusTooManyRequests, "rate_limited",
			"many keys that nobody knows came just now, and this one was not looked up: send it again")
	case errors.As(err, &invalid):
		return wire.NewProblem(http.StatusBadRequest, "malformed", invalid.Error(), invalid.Fields...)
	case errors.Is(err, keys.ErrBadCredential), errors.Is(err, keys.ErrUnauthenticated):
		return wire.Unauthenticated()
	case errors.Is(err, keys.ErrNoTenant):
		return wire.NoTenant()
	case errors.Is(err, keys.ErrNotFound):
		return wire.NewProblem(http.StatusNotFound, "not_found", "there is no such organization here")
	case errors.Is(err, keys.ErrStale):
		return wire.Stale()
	}
	return wire.NewProblem(http.StatusServiceUnavailable, "unavailable", "the key can't be checked now, try again")
}

// checkModern checks what 2026-07-28 requires of each request's _meta, and of
// its headers where there are any; nil when it is all there.
func checkModern(m *message, header http.Header) *reply {
	if header != nil {
		declared := header.Get(mcpgo.HeaderProtocolVersion)
		switch {
		case declared == "":
			return badHeader(m, mcpgo.HeaderProtocolVersion+" header is required")
		case m.version == "":
			r := refusal(eraModern, m.id, mcpgo.INVALID_PARAMS, "missing or invalid _meta field "+mcpgo.MetaKeyProtocolVersion, nil)
			return &r
		case declared != m.version:
			return badHeader(m, mcpgo.HeaderProtocolVersion+" header does not match _meta")
		case header.Get(mcpgo.HeaderLastEventID) != "":
			return badHeader(m, "Last-Event-ID is not supported: streams are not resumable, send the request again under a new id")
		}
	}
	if !mcpgo.IsValidProtocolVersion(m.version) {
		r := unsupportedVersion(m, mcpgo.ValidProtocolVersions)
		return &r
	}
	if !rawjson.IsObject(rawjson.Field(m.meta, mcpgo.MetaKeyClientCapabilities)) {
		r := refusal(eraModern, m.id, mcpgo.INVALID_PARAMS, "missing or invalid _meta field "+mcpgo.MetaKeyClientCapabilities, nil)
		return &r
	}
	if header != nil && m.isRequest() {
		err := mcpgo.ValidateStandardHeaders(header.Get, m.version, mcpgo.MCPMethod(m.method), m.mirrored())
		if err != nil {
			return badHeader(m, err.Error())
		}
		return checkTaskHeader(m, header)
	}
	return nil
}

func unsupportedVersion(m *message, supported []string) reply {
	e := mcpgo.UnsupportedProtocolVersionError{Version: m.version, Supported: supported}.JSONRPCError()
	data, _ := json.Marshal(e.Error.Data) // strings only
	return refusal(eraModern, m.id, e.Error.Code, e.Error.Message, data)
}

func badHeader(m *message, problem string) *reply {
	r := refusal(eraModern, m.id, mcpgo.HEADER_MISMATCH, problem, nil)
	return &r
}
