package mcp

import (
	"context"
	"encoding/json"
	"time"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
)

// keepAliveEvery is how often an idle stream shows that it lives; it is far
// below the time to live of sessions and the patience of proxies.
const keepAliveEvery = 25 * time.Second

// pump writes what a stream is due until it is over or can't be written to.
func (g *Gateway) pump(st *stream, out sink, w wants, s *session) {
	alive := time.NewTicker(keepAliveEvery)
	defer alive.Stop()
	for {
		var err error
		select {
		case <-st.ctx.Done():
			return
		case <-st.changed:
			if st.ctx.Err() != nil {
				return
			}
			if err = w.announce(out, st.takeDue()); err == nil {
				g.reviewSubscriptions(st)
				err = g.tellUpdates(st, out, w)
			}
		case message := <-st.said:
			err = out.send(message)
		case <-alive.C:
			if s != nil {
				g.sessions.touch(s)
			}
			err = out.keepAlive()
		}
		if err != nil {
			return
		}
	}
}

// wants is what a stream's client is told of.
type wants struct {
	groups       groupSet
	subscription json.RawMessage // tags every message in 2026-07-28; nil = the older era
}

// wantsOf reads the filter of subscriptions/listen, and answers what of it is
// granted.
func wantsOf(m *message) (w wants, granted json.RawMessage) {
	w.subscription, granted = m.id, json.RawMessage(`{}`)
	filter := rawjson.Field(m.params, "notifications")
	for g := range groups {
		name := announcement[g].filter
		if string(rawjson.Field(filter, name)) == "true" {
			w.groups |= 1 << g
			granted = rawjson.Prepend(granted, name, []byte("true"))
		}
	}
	return w, granted
}

// announce sends the list_changed of the groups that the client wants.
func (w wants) announce(out sink, due groupSet) error {
	var params json.RawMessage
	if w.subscription != nil {
		params = subscriptionMeta(w.subscription)
	}
	for g := range groups {
		if !(due & w.groups).has(g) {
			continue
		}
		if err := out.send(notification(announcement[g].method, params)); err != nil {
			return err
		}
	}
	return nil
}

func subscriptionMeta(id json.RawMessage) json.RawMessage {
	meta := rawjson.Prepend([]byte(`{}`), mcpgo.MetaKeySubscriptionID, id)
	return rawjson.Prepend([]byte(`{}`), "_meta", meta)
}

// subscribe answers subscriptions/listen: acknowledged first, then what the
// client asked for, until it goes away. It is ours and not mcp-go's (v1.2.1),
// which tells every session of a change that only some can see.
func (g *Gateway) subscribe(ctx context.Context, r *request) reply {
	if r.sink == nil {
		return refusal(r.era, r.msg.id, mcpgo.METHOD_NOT_FOUND, "Method not found", nil)
	}
	// Polling is what tells of tasks: of those asked for here, none is granted.
	if rawjson.Field(rawjson.Field(r.msg.params, "notifications"), "taskIds") != nil && !r.declaresTasks() {
		return missingTasks(r)
	}
	r.subs = &subscriptions{}
	defer g.subs.end(r.subs)
	st, done, ok := g.openStream(ctx, r, [upstream.Kinds]uint64{})
	if !ok {
		return g.rateLimited(ctx, r, verdict{class: classListen, who: r.principal, at: g.cfg.Now()}, maxStreams, "streams open")
	}
	defer done()
	w, granted := wantsOf(r.msg)
	uris := g.listenTo(st.ctx, r)
	if uris != nil {
		list, _ := json.Marshal(uris) // strings only
		granted = rawjson.Prepend(granted, "resourceSubscriptions", list)
	}
	ack := rawjson.Prepend(subscriptionMeta(r.msg.id), "notifications", granted)
	if r.sink.send(notification("notifications/subscriptions/acknowledged", ack)) != nil {
		return reply{}
	}
	if w.groups != 0 || uris != nil {
		g.pump(st, r.sink, w, nil)
		if ctx.Err() == nil { // cut: the key no longer counts, or the server stops
			return reply{}
		}
	}
	return result(r.msg.id, complete(subscriptionMeta(r.msg.id), r.tenant.info))
}
