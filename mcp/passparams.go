package mcp

import (
	"encoding/json"
	"strings"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
)

// passParams says the request's params to the upstream: under its own names, and
// else as received.
func (r *request) passParams(c *upstream.Call, v verdict) {
	up := v.entry.upstream
	switch r.msg.method {
	case string(mcpgo.MethodToolsCall):
		c.Tool, c.Arguments = up, r.msg.arguments
		if r.makesTask() {
			c.Params = rawjson.Prepend([]byte(`{}`), "task", r.msg.task)
		}
	case tasksGet, tasksResult, tasksUpdate, tasksCancel:
		r.passTask(c, v)
	case string(mcpgo.MethodPromptsGet):
		c.Method, c.Mirror = r.msg.method, up
		c.Params = rawjson.Prepend([]byte(`{}`), "name", rawjson.Quote(up))
		c.Arguments = r.msg.arguments
	case string(mcpgo.MethodCompletionComplete):
		c.Method = r.msg.method
		c.Params = completionParams(r.msg, v.target.kind, up)
	default: // of a resource, which may be one of a template
		c.Method, c.Mirror = r.msg.method, r.msg.uri
		c.Params = rawjson.Prepend([]byte(`{}`), "uri", rawjson.Quote(r.msg.uri))
	}
	if r.era == eraModern && r.msg.responses != nil && takesInput(r.msg.method) && v.entry.mount.modern() {
		c.Params = withParam(c.Params, "inputResponses", r.msg.responses)
	}
}

// withParam is params, of which nil is none, with one more member.
func withParam(params json.RawMessage, key string, value []byte) json.RawMessage {
	if params == nil {
		params = json.RawMessage(`{}`)
	}
	return rawjson.Prepend(params, key, value)
}

// completionParams are those of a completion, with the upstream's name of the
// prompt.
func completionParams(m *message, k kind, up string) json.RawMessage {
	params := json.RawMessage(`{}`)
	for _, key := range []string{"context", "argument"} {
		if value := rawjson.Field(m.params, key); value != nil {
			params = rawjson.Prepend(params, key, value)
		}
	}
	ref, _ := rawjson.Edit(m.ref, func(key string, value []byte) []byte {
		if key == "name" && k == kindPrompt {
			return rawjson.Quote(up)
		}
		return value
	})
	return rawjson.Prepend(params, "ref", ref)
}

// private makes a result one that no shared cache may keep (2026-07-28, caching
// hints): who may read it is decided for each key. The time that the upstream
// grants stays; what grants none gets none.
func private(raw json.RawMessage) json.RawMessage {
	timed := false
	out, err := rawjson.Edit(raw, func(key string, value []byte) []byte {
		switch {
		case strings.EqualFold(key, "cacheScope"): // some clients match keys whatever their case
			return nil
		case !strings.EqualFold(key, "ttlMs"):
		case key != "ttlMs" || timed:
			return nil
		default:
			timed = true
		}
		return value
	})
	if err != nil {
		return raw
	}
	if !timed {
		out = rawjson.Prepend(out, "ttlMs", []byte("0"))
	}
	return rawjson.Prepend(out, "cacheScope", []byte(`"private"`))
}

// metaForUpstream leaves out what the protocol says about this connection; the
// other side of the gateway says its own.
func metaForUpstream(meta json.RawMessage) json.RawMessage {
	list, _ := rawjson.List(meta)
	out := []byte{'{'}
	for _, m := range list {
		if m.Key == "progressToken" || reservedMeta(m.Key) {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(out, rawjson.Quote(m.Key)...), ':'), m.Value...)
	}
	if len(out) == 1 {
		return nil
	}
	return append(out, '}')
}
