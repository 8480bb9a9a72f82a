package mcp

import (
	"context"
	"encoding/json"
	"sync"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
)

const (
	elicitationComplete = "notifications/elicitation/complete"
	// maxElicited is how many elicitations of a session it can be told the end of;
	// the oldest is forgotten.
	maxElicited = 64
	maxElicitID = 256 // bytes
)

// elicitedTable remembers which legacy session was sent to a URL for which
// elicitation (2025-11-25, client/elicitation, URL mode), so that the upstream's
// word that it is complete reaches that session alone. It lasts as long as the
// session, in this process only; what it does not know is dropped, for a client
// must not count on being told.
type elicitedTable struct {
	mu   sync.Mutex
	by   map[elicitationKey]*session
	from map[*session][]elicitationKey // oldest first
}

// elicitationKey is an elicitation as its upstream names it.
type elicitationKey struct{ instance, id string }

func newElicitedTable() *elicitedTable {
	return &elicitedTable{by: map[elicitationKey]*session{}, from: map[*session][]elicitationKey{}}
}

// add notes that a session was asked; an id that is there already stays with the
// session that had it first.
func (t *elicitedTable) add(s *session, instance, id string) {
	if s == nil || id == "" || len(id) > maxElicitID {
		return
	}
	key := elicitationKey{instance, id}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.by[key] != nil {
		return
	}
	if t.from[s] == nil {
		context.AfterFunc(s.ctx, func() { t.forget(s) })
	}
	t.by[key], t.from[s] = s, append(t.from[s], key)
	if all := t.from[s]; len(all) > maxElicited {
		delete(t.by, all[0])
		t.from[s] = all[1:]
	}
}

func (t *elicitedTable) forget(s *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, key := range t.from[s] {
		delete(t.by, key)
	}
	delete(t.from, s)
}

// take answers whose an elicitation was, once.
func (t *elicitedTable) take(instance, id string) *session {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := elicitationKey{instance, id}
	s := t.by[key]
	delete(t.by, key)
	return s
}

// elicits notes the elicitations that a legacy client is being sent to URLs for:
// by a question, or by the error that wants them done first (-32042).
func (g *Gateway) elicits(r *request, instance, method string, params json.RawMessage) {
	if r.session == nil || method != string(mcpgo.MethodElicitationCreate) || rawjson.Text(rawjson.Field(params, "mode")) != "url" {
		return
	}
	g.elicited.add(r.session, instance, rawjson.Text(rawjson.Field(params, "elicitationId")))
}

func (g *Gateway) elicitsFirst(r *request, instance string, data json.RawMessage) {
	n := 0
	_ = rawjson.Elements(rawjson.Field(data, "elicitations"), func(one []byte) error {
		if n++; n <= maxElicited {
			g.elicits(r, instance, string(mcpgo.MethodElicitationCreate), one)
		}
		return nil
	})
}

// elicitationOver passes the upstream's word on to the session that was asked.
func (g *Gateway) elicitationOver(m *mount, params json.RawMessage) {
	s := g.elicited.take(m.instance.Load().ID, rawjson.Text(rawjson.Field(params, "elicitationId")))
	if s == nil || !rawjson.IsObject(params) {
		return
	}
	g.streams.say(s, notification(elicitationComplete, params))
}
