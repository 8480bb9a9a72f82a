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

// definitionsOf turns announced lists into what is stored.
func definitionsOf(i keys.Instance, lists upstream.Lists, now time.Time) []keys.Definition {
	items := lists.All()
	out := make([]keys.Definition, 0, len(items))
	for _, t := range items {
		out = append(out, keys.Definition{
			InstanceID: i.ID, Kind: t.Kind.String(), Name: t.Name, Raw: t.Raw, Digest: digestOf(t.Raw), SeenAt: now,
		})
	}
	return out
}

func sameDefinitions(a, b []keys.Definition) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Kind != b[i].Kind || a[i].Name != b[i].Name || string(a[i].Raw) != string(b[i].Raw) {
			return false
		}
	}
	return true
}
