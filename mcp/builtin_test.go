package mcp_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// result is a tool's result as a model sees it.
type result struct {
	Content []struct{ Text string }
	Data    json.RawMessage `json:"structuredContent"`
	IsError bool
}

func (l *legacy) result(name, arguments string) result {
	l.w.t.Helper()
	a := l.call(name, arguments)
	var v struct{ Result *result }
	if err := json.Unmarshal([]byte(a.body), &v); err != nil || v.Result == nil {
		l.w.t.Fatalf("%s: %d %s", name, a.status, a.body)
	}
	if !v.Result.IsError && v.Result.Content[0].Text != string(v.Result.Data) {
		l.w.t.Errorf("%s: text and structured content differ", name)
	}
	return *v.Result
}

// into calls a tool that must succeed.
func into[T any](l *legacy, name, arguments string) (v T) {
	l.w.t.Helper()
	r := l.result(name, arguments)
	if r.IsError {
		l.w.t.Fatalf("%s: %s", name, r.Content[0].Text)
	}
	must(l.w.t, json.Unmarshal(r.Data, &v))
	return v
}

type keyView struct {
	ID, Name, Handle, Key, Source, MCPPreset string
	ParentKeyID                              *string
	CreatedAt                                time.Time
	ExpiresAt                                *time.Time
	MCPActive, MCPReadOnly                   bool
	RevokedAt                                *string
	MCPToolAllowlist                         []string
}

// refused calls a tool that must refuse and say so.
func (l *legacy) refused(name, arguments string, says ...string) {
	l.w.t.Helper()
	r := l.result(name, arguments)
	for _, s := range says {
		if !r.IsError || !strings.Contains(r.Content[0].Text, s) {
			l.w.t.Errorf("%s %s: want an error that says %q, got %v %s", name, arguments, s, r.IsError, r.Content[0].Text)
		}
	}
}

func TestKeyTools(t *testing.T) {
	w := newWorld(t)
	w.mount("a1", newUpstream(t, tool("read_x", "r"), tool("drop_x", "d")))
	mine := w.key()
	c := w.connect(mine, "/mcp")
	count := func() int {
		return into[struct{ Total int }](c, "list_api_keys", `{}`).Total
	}
	before := count()

	c.refused("create_api_key", `{"name":"x"}`, "reveal", "nothing was done", "Use the REST API or the command line")
	c.refused("create_api_key", `{"name":"x","reveal":false}`, "reveal")
	c.refused("create_api_key", `{"reveal":true}`, "name")
	c.refused("create_api_key", `{"name":"x","reveal":true,"nope":1}`, "nope")
	c.refused("create_api_key", `{"name":"x","reveal":true,"Name":"y"}`, "/Name")
	c.refused("create_api_key", `{"name":"x","reveal":true,"mcpPreset":"nope"}`, "mcpPreset")
	c.refused("create_api_key", `{"name":"x","reveal":true,"mcpToolAllowlist":["a?"]}`, "mcpToolAllowlist")
	c.refused("create_api_key", `{"name":"x","reveal":true,"parentKeyId":"other"}`, "parentKeyId")
	c.refused("create_api_key", `{"name":"x","reveal":true,"expiresAt":"tomorrow"}`, "expiresAt")
	if got := count(); got != before {
		t.Fatalf("refused calls made keys: %d, %d", before, got)
	}

	child := into[keyView](c, "create_api_key", `{"name":"Child","reveal":true,"mcpReadOnly":false,"mcpPreset":"full_access"}`)
	if child.ParentKeyID == nil || *child.ParentKeyID != mine.Key.ID || child.Source != "mcp" || !strings.HasPrefix(child.Key, "bwk_live_") {
		t.Errorf("minted: %+v", child)
	}
	as := keys.Issued{Key: keys.Key{ID: child.ID}, Secret: keys.Secret(child.Key)}
	cc := w.connect(as, "/mcp")
	if got := cc.list(); !slices.Contains(got, "a1__drop_x") {
		t.Errorf("the child sees %v", got)
	}
	// Without a word the child would exceed nothing.
	def := into[keyView](c, "create_api_key", `{"name":"Default","reveal":true}`)
	if !def.MCPReadOnly || def.MCPPreset != "read_only" {
		t.Errorf("defaults: %+v", def)
	}
	for expires, hours := range map[string]int{``: 1, `,"expiresAt":null`: 0, `,"expiresAt":"2999-01-01T00:00:00Z"`: 1000} {
		k := into[keyView](c, "create_api_key", `{"name":"Timed","reveal":true`+expires+`}`)
		left := time.Duration(0)
		if k.ExpiresAt != nil {
			left = k.ExpiresAt.Sub(k.CreatedAt)
		}
		if hours == 1 && left != time.Hour || hours == 0 && left != 0 || hours > 1 && left < 1000*time.Hour {
			t.Errorf("with %q it lives for %v", expires, left)
		}
		into[keyView](c, "revoke_api_key", `{"id":"`+k.ID+`"}`)
	}

	got := into[keyView](c, "get_api_key", `{"id":"child"}`)
	if got.ID != child.ID || got.Key != "" {
		t.Errorf("by handle: %+v", got)
	}
	c.refused("get_api_key", `{"id":"nope"}`, "not found")
	c.refused("get_api_key", `{}`, "id")

	up := into[keyView](c, "update_api_key", `{"id":"child","mcpToolAllowlist":["read_*"],"mcpAllowlistMode":"allow"}`)
	if !slices.Equal(up.MCPToolAllowlist, []string{"read_*"}) {
		t.Errorf("updated: %+v", up)
	}
	if got := cc.list(); !slices.Equal(got, []string{"a1__read_x", "whoami"}) {
		t.Errorf("after the update: %v", got)
	}
	if p := into[keyView](c, "toggle_api_key", `{"id":"child"}`); p.MCPActive {
		t.Error("not paused")
	}
	if a := cc.call("whoami", `{}`); a.code() != "key_paused" {
		t.Errorf("paused child: %s", a.body)
	}
	into[keyView](c, "toggle_api_key", `{"id":"child"}`)

	c.refused("rotate_api_key", `{"id":"child"}`, "reveal")
	rotated := into[keyView](c, "rotate_api_key", `{"id":"child","reveal":true}`)
	if a := cc.call("whoami", `{}`); a.status != 401 {
		t.Errorf("the old secret: %d", a.status)
	}
	if rotated.Key == child.Key || rotated.ID != child.ID {
		t.Errorf("rotated: %+v", rotated)
	}
	if r := into[keyView](c, "revoke_api_key", `{"id":"child","reason":"done"}`); r.RevokedAt == nil {
		t.Errorf("revoked: %+v", r)
	}
	into[keyView](c, "revoke_api_key", `{"id":"`+child.ID+`"}`) // again: no error
}

// TestOwnKey: pausing or revoking the key in use, or one that it comes from,
// needs a word.
func TestOwnKey(t *testing.T) {
	w := newWorld(t)
	mine := w.key()
	c := w.connect(mine, "/mcp")
	child := into[keyView](c, "create_api_key", `{"name":"child","reveal":true,"mcpReadOnly":false,"mcpPreset":"full_access","permissions":["*"]}`)
	cc := w.connect(keys.Issued{Secret: keys.Secret(child.Key)}, "/mcp")
	for who, l := range map[string]*legacy{mine.Key.ID: c, child.ID: cc} {
		for _, id := range []string{who, mine.Key.ID} {
			l.refused("toggle_api_key", `{"id":"`+id+`"}`, "confirm", "nothing was done")
			l.refused("revoke_api_key", `{"id":"`+id+`","confirm":false}`, "confirm")
			l.refused("update_api_key", `{"id":"`+id+`","mcpActive":false}`, "confirm")
			l.refused("update_api_key", `{"id":"`+id+`","enabled":false}`, "confirm")
		}
	}
	into[keyView](c, "toggle_api_key", `{"id":"`+mine.Key.ID+`","confirm":true}`)
	if a := cc.call("whoami", `{}`); a.code() != "key_paused" {
		t.Errorf("the child of a paused key: %s", a.body)
	}
}

// TestNoEscalation: a key mints and widens only within its own rights.
func TestNoEscalation(t *testing.T) {
	w := newWorld(t)
	c := w.connect(w.key(func(n *keys.NewKey) {
		n.MCPAllowlistMode, n.MCPToolAllowlist = keys.Some(policy.ModeAllow), keys.Some([]string{"read_*", "*_api_key*", "whoami"})
		n.Permissions = keys.Some([]string{"manage:api-keys"})
	}), "/mcp")
	c.refused("create_api_key", `{"name":"x","reveal":true,"mcpReadOnly":false,"mcpPreset":"full_access","mcpAllowlistMode":"all"}`, "exceeds")
	c.refused("create_api_key", `{"name":"x","reveal":true,"permissions":["*"]}`, "permissions")
	into[keyView](c, "create_api_key", `{"name":"ok","reveal":true,"mcpAllowlistMode":"allow","mcpToolAllowlist":["read_x"],"permissions":[]}`)
	c.refused("update_api_key", `{"id":"ok","mcpToolAllowlist":["*"]}`, "mcpToolAllowlist")
}

func TestPlatformTools(t *testing.T) {
	w := newWorld(t)
	a1 := w.mount("a1", newUpstream(t, tool("read_x", "r")))
	p2, err := w.svc.CreateProject(t.Context(), w.op, keys.NewProject{Slug: "p2", Name: "p2"})
	must(t, err)
	b2 := w.mount("b2", newUpstream(t, tool("read_y", "r")), func(s *keys.InstanceSpec) { s.ProjectID = keys.Some(p2.ID) })
	w.mountAs(w.tenant("other"), "c3", newUpstream(t, tool("read_z", "r")))
	slugs := func(c *legacy, name, list string) []string {
		out := []string{}
		var v map[string][]struct{ Slug string }
		r := c.result(name, `{}`)
		_ = json.Unmarshal(r.Data, &v)
		for _, x := range v[list] {
			out = append(out, x.Slug)
		}
		return out
	}
	for _, tt := range []struct {
		name                string
		edit                func(*keys.NewKey)
		projects, instances []string
	}{
		{"all", func(*keys.NewKey) {}, []string{"default", "p2"}, []string{"a1", "b2"}},
		{"one instance", func(n *keys.NewKey) { n.MCPInstanceIDs = keys.Some(policy.Only(b2.ID)) }, []string{"default", "p2"}, []string{"b2"}},
		{"one project", func(n *keys.NewKey) { n.MCPProjectIDs = keys.Some(policy.Only(p2.ID)) }, []string{"p2"}, []string{"b2"}},
		{"none", func(n *keys.NewKey) { n.MCPProjectIDs = keys.Some(policy.Only()) }, []string{}, []string{}},
		{"confined", func(n *keys.NewKey) {
			n.ProjectID, n.Permissions = a1.ProjectID, keys.Some([]string{"view:projects", "view:instances"})
		}, []string{"default"}, []string{"a1"}},
	} {
		c := w.connect(w.key(tt.edit), "/mcp")
		if got := slugs(c, "list_projects", "projects"); !slices.Equal(got, tt.projects) {
			t.Errorf("%s: projects %v", tt.name, got)
		}
		if got := slugs(c, "list_instances", "instances"); !slices.Equal(got, tt.instances) {
			t.Errorf("%s: instances %v", tt.name, got)
		}
		for _, slug := range []string{"a1", "b2", "c3"} {
			if slices.Contains(tt.instances, slug) {
				if tools := into[struct{ Total int }](c, "list_instance_tools", `{"id":"`+slug+`"}`); tools.Total != 1 {
					t.Errorf("%s: %s has %d tools", tt.name, slug, tools.Total)
				}
			} else {
				c.refused("list_instance_tools", `{"id":"`+slug+`"}`, "not found")
			}
		}
	}
	c := w.connect(w.key(), "/mcp")
	c.refused("list_projects", `{"x":1}`, "x")
	if r := c.result("list_instances", `{}`); !strings.Contains(string(r.Data), `"status":"ready"`) {
		t.Errorf("no status: %s", r.Data)
	}
}

func TestAuditTools(t *testing.T) {
	w := newWorld(t)
	w.mount("a1", newUpstream(t, tool("drop_x", "d")))
	limited := w.key(func(n *keys.NewKey) { n.MCPReadOnly, n.Handle = keys.Some(true), "limited" })
	c := w.connect(w.key(), "/mcp")
	type explained struct {
		Decision string
		Reason   *string
		Failed   []string
		Rules    []struct {
			Rule string
			OK   bool
		}
		KeyID string
	}
	got := into[explained](c, "explain_access", `{"id":"limited","tool":"a1__drop_x"}`)
	if got.Decision != "deny" || got.Reason == nil || *got.Reason != "readonly" || !slices.Equal(got.Failed, []string{"readonly"}) ||
		len(got.Rules) < 10 || got.KeyID != limited.Key.ID {
		t.Errorf("%+v", got)
	}
	if got := into[explained](c, "explain_access", `{"tool":"a1/drop_x"}`); got.Decision != "allow" || got.Reason != nil {
		t.Errorf("own key, canonical id: %+v", got)
	}
	if got := into[explained](c, "explain_access", `{"id":"limited","tool":"nope"}`); *got.Reason != "tool.unknown" {
		t.Errorf("unknown tool: %+v", got)
	}
	c.refused("explain_access", `{"id":"nope","tool":"x"}`, "not found")
	c.refused("explain_access", `{"tool":""}`, "tool")
	c.refused("explain_access", `{"at":"soon"}`, "at")
	c.refused("explain_access", `{"limit":0}`, "limit")

	denial := reference.FindStringSubmatch(w.connect(limited, "/mcp").call("a1__drop_x", `{}`).body)[1]
	type page struct {
		Events []struct {
			Ref    *string
			KeyID  *string
			Failed []string
		}
	}
	w.until("the denial is found by its reference", func() bool {
		p := into[page](c, "list_audit_events", `{"ref":"`+denial+`"}`)
		return len(p.Events) == 1 && *p.Events[0].KeyID == limited.Key.ID && slices.Equal(p.Events[0].Failed, []string{"readonly"})
	})
	for _, bad := range [][2]string{{`{"limit":0}`, "limit"}, {`{"limit":201}`, "limit"}, {`{"decision":"x"}`, "decision"}, {`{"since":"x"}`, "since"},
		{`{"cursor":"x"}`, "cursor"}} {
		c.refused("list_audit_events", bad[0], bad[1])
	}
}
