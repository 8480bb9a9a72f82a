package mcp

import (
	"context"
	"encoding/json"
	"time"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
)

// keepAliveEvery is how often an idle stream shows that it lives; it is far
// below the time to live of sessions and the patience of proxies.
const keepAliveEvery = 25 * time.Second

// pump writes what a stream is due until it is over or can't be written to.
func (g *Gateway) pump(st *stream, out sink, changed []byte, s *session) {
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
			err = out.send(changed)
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

// listChanged is the notification that the visible tools changed, tagged with
// the subscription in 2026-07-28.
func listChanged(subscription json.RawMessage) []byte {
	if subscription == nil {
		return notification("notifications/tools/list_changed", nil)
	}
	return notification("notifications/tools/list_changed", subscriptionMeta(subscription))
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
	st, done, ok := g.openStream(ctx, r, 0)
	if !ok {
		return g.rateLimited(ctx, r, verdict{class: classListen}, maxStreams, "streams open")
	}
	defer done()
	wanted := string(rawjson.Field(rawjson.Field(r.msg.params, "notifications"), "toolsListChanged")) == "true"
	granted := json.RawMessage(`{}`)
	if wanted {
		granted = json.RawMessage(`{"toolsListChanged":true}`)
	}
	ack := rawjson.Prepend(subscriptionMeta(r.msg.id), "notifications", granted)
	if r.sink.send(notification("notifications/subscriptions/acknowledged", ack)) != nil {
		return reply{}
	}
	if wanted {
		g.pump(st, r.sink, listChanged(r.msg.id), nil)
		if ctx.Err() == nil { // cut: the key no longer counts, or the server stops
			return reply{}
		}
	}
	return result(r.msg.id, complete(subscriptionMeta(r.msg.id), r.tenant.info))
}
