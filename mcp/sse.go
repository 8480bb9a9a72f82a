package mcp

import (
	"context"
	"net/http"
	"net/url"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
)

// serveSSE is the stream of the HTTP+SSE transport (2024-11-05): first the
// address for POSTs, then every answer and notification. It is ours and not
// mcp-go's (v1.2.1), whose sessions anybody may post to who knows the id.
func (g *Gateway) serveSSE(v *visit) {
	out := newEventSink(g.patient(v.w))
	s := newSession(v.principal, v.narrowing, "")
	s.sink = out
	g.sessions.add(s)
	defer func() {
		g.sessions.end(s)
		out.close()
		s.finish()
	}()
	r := &request{principal: v.principal, tenant: v.tenant, narrowing: v.narrowing, session: s}
	st, done, ok := g.openStream(v.r.Context(), r, [upstream.Kinds]uint64{})
	if !ok {
		g.refuseStream(v)
		return
	}
	defer done()
	defer context.AfterFunc(s.ctx, st.cut)()
	endpoint := g.front.path + "/message?sessionId=" + url.QueryEscape(s.id)
	if out.event("endpoint", []byte(endpoint)) != nil {
		return
	}
	g.pump(st, out, wants{groups: everyGroup}, s)
}

// serveMessage takes one message of an SSE session; the answer goes out on its
// stream.
func (g *Gateway) serveMessage(v *visit) {
	s := g.sessions.held(v.r.URL.Query().Get("sessionId"), v.principal)
	if s == nil || s.sink == nil {
		sessionGone(v.w)
		return
	}
	m, ok := g.readHTTPMessage(v)
	if !ok {
		return
	}
	r := &request{msg: m, era: eraLegacy, edits: v.edits, principal: v.principal, tenant: v.tenant, session: s, sink: s.sink}
	if m.isResponse() {
		writeReply(v.w, g.answered(v.r.Context(), r))
		return
	}
	r.narrowing = s.narrowing.with(v.narrowing)
	if m.method == string(mcpgo.MethodInitialize) {
		s.setClient(clientName(rawjson.Field(m.params, "clientInfo")))
		s.declare(m)
	}
	r.client = s.clientName()
	if !m.isRequest() { // at once: it may end what holds the places
		g.dispatch(s.ctx, r)
		v.w.WriteHeader(http.StatusAccepted)
		return
	}
	if !s.begin(func() {
		defer r.answered()
		var answer reply
		if mcpgo.IsModernProtocol(m.version) {
			answer = unsupportedVersion(m, mcpgo.LegacyProtocolVersions())
		} else {
			answer = g.dispatch(s.ctx, r)
		}
		if body := answer.asMessage(m.id); body != nil {
			_ = s.sink.send(body)
		}
	}) {
		v.tooMany(limitReached(maxParallel, "messages that are being answered in this session"))
		return
	}
	v.w.WriteHeader(http.StatusAccepted)
}
