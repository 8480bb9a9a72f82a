package mcp

import "encoding/json"

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
