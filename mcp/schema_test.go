package mcp_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestBuiltinSchemas holds the built-in tools' definitions to a snapshot:
// clients and models depend on them.
func TestBuiltinSchemas(t *testing.T) {
	w := newWorld(t)
	a := w.connect(w.key(), "/mcp").send(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`)
	var got struct {
		Result struct{ Tools []json.RawMessage }
	}
	must(t, json.Unmarshal([]byte(a.body), &got))
	if len(got.Result.Tools) != 13 {
		t.Fatalf("%d built-in tools", len(got.Result.Tools))
	}
	var out bytes.Buffer
	for _, raw := range got.Result.Tools {
		must(t, json.Indent(&out, raw, "", "  "))
		out.WriteByte('\n')
	}
	path := filepath.Join("testdata", "builtin_tools.golden")
	if *update {
		must(t, os.MkdirAll("testdata", 0o755))
		must(t, os.WriteFile(path, out.Bytes(), 0o644))
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if !bytes.Equal(out.Bytes(), want) {
		t.Errorf("definitions differ from %s; look at them, then run with -update", path)
	}
}

// TestResultsMatchSchemas holds every built-in tool's result against the output
// schema that it announces.
func TestResultsMatchSchemas(t *testing.T) {
	w := newWorld(t)
	w.mount("a1", newUpstream(t, tool("read_x", "r")), func(s *keys.InstanceSpec) {
		s.Tools = keys.Some([]keys.ToolRule{{Match: "read_x", Category: "search"}})
	})
	c := w.connect(w.key(), "/mcp")
	var list struct {
		Result struct {
			Tools []struct {
				Name         string
				OutputSchema any
			}
		}
	}
	must(t, json.Unmarshal([]byte(c.send(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`).body), &list))
	schemas := map[string]*jsonschema.Schema{}
	for _, tl := range list.Result.Tools {
		if tl.OutputSchema == nil {
			continue
		}
		compiler := jsonschema.NewCompiler()
		must(t, compiler.AddResource(tl.Name+".json", tl.OutputSchema))
		s, err := compiler.Compile(tl.Name + ".json")
		must(t, err)
		schemas[tl.Name] = s
	}
	calls := [][2]string{
		{"whoami", `{}`},
		{"create_api_key", `{"name":"n1","reveal":true}`},
		{"get_api_key", `{"id":"n1"}`},
		{"list_api_keys", `{"includeRevoked":true}`},
		{"update_api_key", `{"id":"n1","tags":["a"],"mcpInstanceIds":[]}`},
		{"toggle_api_key", `{"id":"n1"}`},
		{"rotate_api_key", `{"id":"n1","reveal":true,"graceSeconds":60}`},
		{"explain_access", `{"tool":"a1__read_x","id":"n1"}`},
		{"explain_access", `{"id":"n1","at":"2030-01-31T12:00:00Z","limit":3}`},
		{"revoke_api_key", `{"id":"n1"}`},
		{"list_audit_events", `{"limit":5}`},
		{"list_projects", `{}`},
		{"list_instances", `{}`},
		{"list_instance_tools", `{"id":"a1"}`},
	}
	answered := map[string]bool{}
	for _, call := range calls {
		answered[call[0]] = true
	}
	if len(answered) != len(schemas) {
		t.Fatalf("%d tools are called, %d have a schema", len(answered), len(schemas))
	}
	for _, call := range calls {
		r := c.result(call[0], call[1])
		if r.IsError {
			t.Errorf("%s: %s", call[0], r.Content[0].Text)
			continue
		}
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(r.Data))
		must(t, err)
		if err := schemas[call[0]].Validate(v); err != nil {
			t.Errorf("%s: %v", call[0], err)
		}
	}
}
