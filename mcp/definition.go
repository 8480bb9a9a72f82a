package mcp

import (
	"encoding/json"
	"fmt"
	"time"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
)

// maxExposedName is the longest tool name that clients accept (2025-11-25,
// server/tools, Tool Names).
const maxExposedName = 128

func exposedName(slug, upstream string) string { return slug + "__" + upstream }

// expose is an upstream's definition under its exposed name; every other byte
// stays as announced.
func expose(raw json.RawMessage, name string) (json.RawMessage, error) {
	if !rawjson.Valid(raw) {
		return nil, fmt.Errorf("definition is not valid JSON")
	}
	list, err := rawjson.List(raw)
	if err != nil {
		return nil, fmt.Errorf("definition is not an object")
	}
	at := -1
	seen := map[string]bool{}
	for i, m := range list {
		if seen[m.Key] { // readers differ in which of the two counts
			return nil, fmt.Errorf("definition has a key twice")
		}
		seen[m.Key] = true
		if m.Key == "name" {
			at = i
		}
	}
	if at < 0 {
		return nil, fmt.Errorf("definition has no name")
	}
	return rawjson.Replace(raw, list[at], rawjson.Quote(name)), nil
}

// headerTool is what x-mcp-header checks need of a definition, nil when it
// binds no header. A malformed binding is an error: such a tool must not be
// offered (2026-07-28, SEP-2243).
func headerTool(raw json.RawMessage) (*mcpgo.Tool, error) {
	t := &mcpgo.Tool{RawInputSchema: rawjson.Field(raw, "inputSchema")}
	if err := mcpgo.ValidateParamHeaderAnnotations(t); err != nil {
		return nil, fmt.Errorf("x-mcp-header: %w", err)
	}
	if len(mcpgo.ExtractParamHeaderBindings(t)) == 0 {
		return nil, nil
	}
	return t, nil
}

// definitionsOf turns an announced list into what is stored.
func definitionsOf(i keys.Instance, tools []upstream.Tool, now time.Time) []keys.Definition {
	out := make([]keys.Definition, 0, len(tools))
	for _, t := range tools {
		out = append(out, keys.Definition{
			InstanceID: i.ID, Kind: "tool", Name: t.Name, Raw: t.Raw, Digest: digestOf(t.Raw), SeenAt: now,
		})
	}
	return out
}

func sameDefinitions(a, b []keys.Definition) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Name != b[i].Name || string(a[i].Raw) != string(b[i].Raw) {
			return false
		}
	}
	return true
}
