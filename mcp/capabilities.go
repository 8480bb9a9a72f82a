package mcp

import (
	"encoding/json"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
)

// What a server may ask a client.
const (
	askElicitation = string(mcpgo.MethodElicitationCreate)
	askSampling    = string(mcpgo.MethodSamplingCreateMessage)
	askRoots       = string(mcpgo.MethodListRoots)
)

// abilities is what a client declared that it can be asked for. Of sampling its
// sub-capability context is left out: to the client "this server" is the
// gateway, so the context of all its other upstreams would go to the one that
// asks.
type abilities struct {
	form, url     bool // elicitation, by mode
	sampling      bool
	samplingTools bool
	roots         bool
}

// abilitiesOf reads a ClientCapabilities object. What is not an object is not
// declared.
func abilitiesOf(declared json.RawMessage) (a abilities) {
	if elicitation := rawjson.Field(declared, "elicitation"); rawjson.IsObject(elicitation) {
		form, url := rawjson.Field(elicitation, "form"), rawjson.Field(elicitation, "url")
		a.url = rawjson.IsObject(url)
		// Without any mode it is the one that came first (2025-11-25, elicitation).
		a.form = rawjson.IsObject(form) || !a.url
	}
	if sampling := rawjson.Field(declared, "sampling"); rawjson.IsObject(sampling) {
		a.sampling, a.samplingTools = true, rawjson.IsObject(rawjson.Field(sampling, "tools"))
	}
	a.roots = rawjson.IsObject(rawjson.Field(declared, "roots"))
	return a
}

// bits is the abilities in one byte, for a session's id.
func (a abilities) bits() byte { return flags(a.form, a.url, a.sampling, a.samplingTools, a.roots) }

// abilitiesFrom is the reverse of bits; ok is false for a bit that says nothing.
func abilitiesFrom(b byte) (a abilities, ok bool) {
	has := func(n int) bool { return b&(1<<n) != 0 }
	return abilities{form: has(0), url: has(1), sampling: has(2), samplingTools: has(3), roots: has(4)}, b < 1<<5
}

// none tells whether the client can be asked for nothing that an upstream of
// the older era may ask for.
func (a abilities) none() bool { return !a.form && !a.url && !a.sampling }

// declaration is the client's capabilities as an upstream of 2026-07-28 is told
// them: those that questions pass for, and no others; nil = none.
func (a abilities) declaration() json.RawMessage {
	if a == (abilities{}) {
		return nil
	}
	all := needs{}
	if a.form || a.url {
		all.add("elicitation", "")
	}
	if a.form {
		all.add("elicitation", "form")
	}
	if a.url {
		all.add("elicitation", "url")
	}
	if a.sampling {
		all.add("sampling", "")
	}
	if a.samplingTools {
		all.add("sampling", "tools")
	}
	if a.roots {
		all.add("roots", "")
	}
	return all.encode()
}

// needs is a set of capabilities with sub-capabilities.
type needs map[string]map[string]struct{}

func (n needs) add(capability, sub string) {
	if n[capability] == nil {
		n[capability] = map[string]struct{}{}
	}
	if sub != "" {
		n[capability][sub] = struct{}{}
	}
}

// encode is the set as a ClientCapabilities object.
func (n needs) encode() json.RawMessage {
	raw, _ := json.Marshal(n) // strings only
	return raw
}

// maxMode is how much of an unknown mode is repeated, in characters.
const maxMode = 32

// questionKeys are the members of a question's params that are looked at here.
var questionKeys = []string{"mode", "url", "requestedSchema", "tools", "toolChoice", "includeContext", "task", "_meta"}

// readInTwo says why the params of a question could be read by a client in another
// way than here; "" when they can't.
func readInTwo(params json.RawMessage) string {
	list, _ := rawjson.List(params) // none is asked with what is no object
	return strictKeys(list, questionKeys)
}

// lack adds to missing what the client would have to declare to be asked this;
// known is false for what no server may ask.
func (a abilities) lack(missing needs, method string, params json.RawMessage) (known bool) {
	switch method {
	case askElicitation:
		mode := "form"
		if raw := rawjson.Field(params, "mode"); raw != nil {
			mode = rawjson.Text(raw)
		}
		if mode == "form" && !a.form || mode == "url" && !a.url || mode != "form" && mode != "url" {
			missing.add("elicitation", truncated(mode, maxMode))
		}
	case askSampling:
		if !a.sampling {
			missing.add("sampling", "")
		}
		// 2025-11-25, sampling: neither may be sent without it.
		if !a.samplingTools && (rawjson.Field(params, "tools") != nil || rawjson.Field(params, "toolChoice") != nil) {
			missing.add("sampling", "tools")
		}
	case askRoots:
		if !a.roots {
			missing.add("roots", "")
		}
	default:
		return false
	}
	return true
}

// withoutContext takes includeContext out of the params of a sampling request:
// no upstream is told that it may ask for it (see abilities), and a client may
// leave it out itself. Others stay as they are.
func withoutContext(method string, params json.RawMessage) json.RawMessage {
	if method != askSampling {
		return params
	}
	out, _ := rawjson.Edit(params, func(key string, value []byte) []byte {
		if key == "includeContext" {
			return nil
		}
		return value
	})
	return out
}
