package mcp

import (
	"encoding/json"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
)

// target is the one thing that a request names: a tool or prompt by its exposed
// name, a resource by its uri, a template by its text. An empty name is none.
type target struct {
	kind kind
	name string
}

// refKeys are what a completion's ref is made of.
var refKeys = []string{"type", "name", "uri", "title"}

// target reads what the message names; the zero name where it names nothing, or
// says so in a way that could be read in two.
func (m *message) target() target {
	t := target{kind: methods[m.method].kind, name: m.name}
	switch {
	case m.method == string(mcpgo.MethodCompletionComplete):
		return refTarget(m.ref)
	case t.kind == kindResource:
		t.name = m.uri
	case methods[m.method].class == classTask:
		t.name = m.taskID
	}
	return t
}

// refTarget is what a completion is for: a prompt, or a template of resources.
func refTarget(ref json.RawMessage) target {
	list, err := rawjson.List(ref)
	if err != nil || strictKeys(list, refKeys) != "" {
		return target{}
	}
	var kinds, name, uri string
	for _, m := range list {
		switch m.Key {
		case "type":
			kinds = rawjson.Text(m.Value)
		case "name":
			name = rawjson.Text(m.Value)
		case "uri":
			uri = rawjson.Text(m.Value)
		}
	}
	switch kinds {
	case "ref/prompt":
		return target{kindPrompt, name}
	case "ref/resource":
		return target{kindTemplate, uri}
	}
	return target{}
}

// missing says which of a request's params names no target.
func (m *message) missing() string {
	switch m.method {
	case string(mcpgo.MethodCompletionComplete):
		return "params.ref must be a ref/prompt with a name, or a ref/resource with a uri"
	case string(mcpgo.MethodToolsCall):
		return "params.name must be a string that names a tool"
	case string(mcpgo.MethodPromptsGet):
		return "params.name must be a string that names a prompt"
	}
	return "params.uri must be a string that names a resource"
}

// digested is what the audit trail keeps a digest of, and who approves a call sees:
// the arguments, or what a completion completes, with its context where it has one.
func (m *message) digested() json.RawMessage {
	if m.method != string(mcpgo.MethodCompletionComplete) {
		return m.arguments
	}
	argument, context := rawjson.Field(m.params, "argument"), rawjson.Field(m.params, "context")
	if context == nil {
		return argument
	}
	both := rawjson.Prepend([]byte(`{}`), "context", context)
	if argument != nil {
		both = rawjson.Prepend(both, "argument", argument)
	}
	return both
}
