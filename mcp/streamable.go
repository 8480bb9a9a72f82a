package mcp

import (
	"context"
	"net/http"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
)

// serveMCP is streamable HTTP.
func (g *Gateway) serveMCP(v *visit) {
	switch {
	case v.r.Method == http.MethodPost:
		g.post(v)
	case mcpgo.IsModernProtocol(v.r.Header.Get(mcpgo.HeaderProtocolVersion)):
		v.w.Header().Set("Allow", "POST")
		wire.NewProblem(http.StatusMethodNotAllowed, "method_not_allowed",
			"2026-07-28 has neither GET streams nor sessions: use subscriptions/listen").Answer(v.w)
	case v.r.Method == http.MethodGet:
		g.getStream(v)
	default:
		if s := g.sessionOf(v); s != nil {
			g.sessions.end(s)
			v.w.WriteHeader(http.StatusOK)
		}
	}
}

func (g *Gateway) post(v *visit) {
	m, ok := g.readHTTPMessage(v)
	if !ok {
		return
	}
	r := &request{msg: m, edits: v.edits, principal: v.principal, tenant: v.tenant, narrowing: v.narrowing}
	out := newPostSink(g.patient(v.w))
	r.sink, r.answerHeader = out, v.w.Header()
	defer r.answered()
	if modern(m, v.r.Header) {
		if m.isResponse() { // nothing is asked so in 2026-07-28
			out.finish(accepted(), nil)
			return
		}
		r.era, r.header = eraModern, v.r.Header
		r.client = clientName(rawjson.Field(m.meta, mcpgo.MetaKeyClientInfo))
		if bad := checkModern(m, v.r.Header); bad != nil {
			out.finish(*bad, m.id)
			return
		}
		out.finish(g.dispatch(v.r.Context(), r), m.id)
		return
	}
	r.era = eraLegacy
	if m.method == string(mcpgo.MethodInitialize) && m.isRequest() {
		g.initialize(v, r, out)
		return
	}
	if r.session = g.sessionOf(v); r.session == nil {
		return
	}
	if m.isResponse() {
		out.finish(g.answered(v.r.Context(), r), nil)
		return
	}
	r.client, r.narrowing = r.session.clientName(), r.session.narrowing.with(v.narrowing)
	out.finish(g.dispatch(v.r.Context(), r), m.id)
}

// initialize makes a session when the handshake succeeds.
func (g *Gateway) initialize(v *visit, r *request, out *postSink) {
	r.client = clientName(rawjson.Field(r.msg.params, "clientInfo"))
	r.session = newSession(v.principal, v.narrowing, r.client)
	r.session.declare(r.msg)
	answer := g.dispatch(v.r.Context(), r)
	if answer.failed {
		r.session.cancel()
	} else {
		g.sessions.add(r.session)
		v.w.Header().Set(mcpgo.HeaderSessionID, r.session.id)
	}
	out.finish(answer, r.msg.id)
}

// sessionOf finds the principal's session that the request names; when there
// is none it has answered, and a foreign one is answered like an unknown one.
func (g *Gateway) sessionOf(v *visit) *session {
	if version := v.r.Header.Get(mcpgo.HeaderProtocolVersion); version != "" && !mcpgo.IsValidProtocolVersion(version) {
		wire.NewProblem(http.StatusBadRequest, "unsupported_version", "unsupported Mcp-Protocol-Version").Answer(v.w)
		return nil
	}
	id := v.r.Header.Get(mcpgo.HeaderSessionID)
	if id == "" {
		wire.NewProblem(http.StatusBadRequest, "session_required", "Mcp-Session-Id is missing: send initialize first").Answer(v.w)
		return nil
	}
	s := g.sessions.get(id, v.principal)
	if s == nil || s.sink != nil {
		sessionGone(v.w)
		return nil
	}
	return s
}

func sessionGone(w http.ResponseWriter) {
	wire.NewProblem(http.StatusNotFound, "session_not_found", "no such session: send initialize again").Answer(w)
}

// getStream is the standalone stream of a legacy session. Streams are ours and
// not mcp-go's (v1.2.1), which lets anybody read and end any session's.
func (g *Gateway) getStream(v *visit) {
	s := g.sessionOf(v)
	if s == nil {
		return
	}
	r := &request{principal: v.principal, tenant: v.tenant, narrowing: s.narrowing.with(v.narrowing), session: s}
	s.attach(nil) // a client that comes again for its stream has lost the old one
	listed := s.listed.load()
	st, done, ok := g.openStream(v.r.Context(), r, listed)
	if !ok {
		g.refuseStream(v)
		return
	}
	defer done()
	defer context.AfterFunc(s.ctx, st.cut)()
	if s.listedElsewhere(g.cfg.Now()) {
		st.owe(listed)
	}
	s.attach(st)
	out := newEventSink(g.patient(v.w))
	defer out.close()
	if out.open() != nil {
		return
	}
	g.pump(st, out, wants{groups: everyGroup}, s)
}
