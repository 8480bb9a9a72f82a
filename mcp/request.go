package mcp

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
)

// request is one message with all that deciding and answering it needs,
// whatever transport brought it.
type request struct {
	msg       *message
	era       era
	principal keys.Principal
	tenant    *tenant
	session   *session // of the legacy era; nil in the modern one
	header    http.Header
	narrowing narrowing // of the session and of the request itself, together
	client    string    // name/version as the client says
	edits     int64     // seen before the credential was checked

	// sink is the request's own stream for what comes before its answer; nil
	// when the transport has none.
	sink sink

	// answerHeader is that of the answer over HTTP, until it is being written; nil
	// where an answer has none.
	answerHeader http.Header

	subs *subscriptions // of a subscriptions/listen

	tracked bool   // its transport has made it cancelable
	release func() // of its place among its key's calls; nil = it has none
}

// answered must be called when the answer is written.
func (r *request) answered() {
	if r.release != nil {
		r.release()
	}
}

// sink takes messages for a client in order, from any goroutine.
type sink interface {
	send(message []byte) error
	keepAlive() error
}

// abilities is what the request's client can be asked for.
func (r *request) abilities() abilities {
	switch {
	case r.era == eraModern:
		return abilitiesOf(rawjson.Field(r.msg.meta, mcpgo.MetaKeyClientCapabilities))
	case r.session == nil || r.sink == nil:
		return abilities{}
	}
	return r.session.abilities()
}

// owner names, for upstreams that several clients share, who may see what is
// meant for this request: the session that it is of. Without sessions it is the
// key, for nothing else tells its clients apart.
func (r *request) owner() string {
	who := r.principal.TenantID() + "/" + r.principal.ID() + "/"
	if r.session != nil {
		who += r.session.name
	}
	return who
}

type requestKey struct{}

func withRequest(ctx context.Context, r *request) context.Context {
	return context.WithValue(ctx, requestKey{}, r)
}

// requestFrom is nil when the context has none, which the gate denies.
func requestFrom(ctx context.Context) *request {
	r, _ := ctx.Value(requestKey{}).(*request)
	return r
}

// question is what the gate is asked about the request.
func (r *request) question(g *Gateway) question {
	q := question{
		principal: r.principal, session: r.narrowing.session, catalog: r.tenant.catalog.Load(),
		method: r.msg.method, era: r.era, target: r.msg.target(), now: g.cfg.Now(),
		arguments: r.msg.arguments,
	}
	if p := r.tenant.projects.Load(); p != nil {
		q.projects = *p
	}
	if methods[r.msg.method].class == classTask {
		q.task = g.openTask(r)
	}
	return q
}

// clientName reads name/version of an Implementation object.
func clientName(raw json.RawMessage) string {
	name, version := rawjson.Text(rawjson.Field(raw, "name")), rawjson.Text(rawjson.Field(raw, "version"))
	if version != "" {
		name += "/" + version
	}
	const most = 128
	if len(name) > most {
		name = strings.ToValidUTF8(name[:most], "")
	}
	return name
}
