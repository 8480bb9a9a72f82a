package mcp_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// reachWorld has an instance in reach and one that is hidden from the keys
// that reach makes: by instance and by project.
func reachWorld(t *testing.T) (*world, map[string]*legacy) {
	w := newWorld(t)
	near := w.mount("near", newUpstream(t, tool("read_x", "r"), tool("drop_x", "d")))
	p2, err := w.svc.CreateProject(t.Context(), w.op, keys.NewProject{Slug: "p2", Name: "p2"})
	must(t, err)
	w.mount("far", newUpstream(t, tool("read_y", "r")), func(s *keys.InstanceSpec) { s.ProjectID = keys.Some(p2.ID) })
	return w, map[string]*legacy{
		"by instance": w.connect(w.key(func(n *keys.NewKey) { n.MCPInstanceIDs = keys.Some(policy.Only(near.ID)) }), "/mcp"),
		"by project":  w.connect(w.key(func(n *keys.NewKey) { n.MCPProjectIDs = keys.Some(policy.Only(near.ProjectID)) }), "/mcp"),
	}
}

// TestInstanceToolsWithinReach: the tools of an instance are told as far as
// the caller could call them.
func TestInstanceToolsWithinReach(t *testing.T) {
	w, _ := reachWorld(t)
	for want, edit := range map[string]func(*keys.NewKey){
		"read_x drop_x": func(*keys.NewKey) {},
		"read_x":        func(n *keys.NewKey) { n.MCPReadOnly = keys.Some(true) },
		"drop_x": func(n *keys.NewKey) {
			n.MCPAllowlistMode, n.MCPToolAllowlist = keys.Some(policy.ModeDeny), keys.Some([]string{"near/read_*"})
		},
	} {
		c := w.connect(w.key(edit), "/mcp")
		got := into[struct {
			Tools []struct{ Name string }
			Total int
		}](c, "list_instance_tools", `{"id":"near"}`)
		names := []string{}
		for _, tool := range got.Tools {
			names = append(names, tool.Name)
		}
		if strings.Join(names, " ") != want || got.Total != len(names) {
			t.Errorf("%v of %d, want %s", names, got.Total, want)
		}
	}
}

// TestExplainWithinReach: what is out of the caller's reach is explained as
// what is not there, whoever's key is asked about.
func TestExplainWithinReach(t *testing.T) {
	w, callers := reachWorld(t)
	other := w.key().Key.ID
	for name, c := range callers {
		for _, id := range []string{`"at":"2026-01-31T12:00:00Z",`, `"at":"2026-01-31T12:00:00Z","id":"` + other + `",`} {
			unknown := string(c.result("explain_access", `{`+id+`"tool":"far__nope"}`).Data)
			if !strings.Contains(unknown, "tool.unknown") {
				t.Fatalf("%s: %s", name, unknown)
			}
			for _, hidden := range []string{"far__read_y", "far/read_y"} {
				if got := string(c.result("explain_access", `{`+id+`"tool":"`+hidden+`"}`).Data); got != unknown {
					t.Errorf("%s, %s: %s, want %s", name, hidden, got, unknown)
				}
			}
			if got := string(c.result("explain_access", `{`+id+`"tool":"near__read_x"}`).Data); !strings.Contains(got, `"allow"`) {
				t.Errorf("%s, in reach: %s", name, got)
			}
			all := string(c.result("explain_access", `{`+strings.TrimSuffix(id, ",")+`}`).Data)
			if strings.Contains(all, "far") || !strings.Contains(all, "near__read_x") {
				t.Errorf("%s, of all: %s", name, all)
			}
		}
	}
}

// TestTrailWithinReach: the trail tells a restricted caller nothing of what it
// does not reach; of its own denials, only what it asked for.
func TestTrailWithinReach(t *testing.T) {
	w, callers := reachWorld(t)
	all := w.connect(w.key(), "/mcp")
	type event struct {
		Action        string
		Tool, Subject *string
		Failed        []string
		Detail        json.RawMessage
	}
	type page struct{ Events []event }
	for _, name := range []string{"near__read_x", "far__read_y", "far__nope", "whoami"} {
		all.call(name, `{}`)
	}
	w.until("the calls are recorded", func() bool {
		list, err := w.svc.AuditEvents(t.Context(), w.op, keys.AuditQuery{Limit: 200})
		return err == nil && slices.ContainsFunc(list, func(e keys.AuditEntry) bool { return e.Tool == "whoami" })
	})
	seen := func(c *legacy) string {
		var out []string
		for _, e := range into[page](c, "list_audit_events", `{"limit":200}`).Events {
			line := e.Action
			for _, s := range []*string{e.Tool, e.Subject} {
				if s != nil {
					line += " " + *s
				}
			}
			if e.Action == "tools/call" {
				line += " " + string(e.Detail)
			}
			out = append(out, line+" "+strings.Join(e.Failed, ","))
		}
		return strings.Join(out, "\n")
	}
	if got := seen(all); !strings.Contains(got, "far__read_y far/read_y") || !strings.Contains(got, "far__nope") {
		t.Errorf("a key with full reach: %s", got)
	}
	far, err := w.svc.Instance(t.Context(), w.op, "far")
	must(t, err)
	for name, c := range callers {
		c.call("far__read_y", `{"own":1}`)
		c.call("far__nope", `{"own":1}`)
		w.until("its own denials are told", func() bool {
			got := seen(c)
			return strings.Contains(got, "tools/call far__read_y null tool.unknown") && strings.Contains(got, "tools/call far__nope null tool.unknown")
		})
		got := seen(c)
		for _, hidden := range []string{"far/read_y", "not_allowed", "instance.create " + far.ID, "project.create " + far.ProjectID} {
			if strings.Contains(got, hidden) && (name == "by project" || !strings.HasPrefix(hidden, "project")) {
				t.Errorf("%s tells %s: %s", name, hidden, got)
			}
		}
		if n := strings.Count(got, "far__"); n != 2 {
			t.Errorf("%s: %d events name the hidden instance, want its own two: %s", name, n, got)
		}
		if !strings.Contains(got, "near__read_x near/read_x") || !strings.Contains(got, "whoami bailiwick/whoami") || !strings.Contains(got, "key.create") {
			t.Errorf("%s misses what it reaches: %s", name, got)
		}
	}
}
