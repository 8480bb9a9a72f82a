package mcp_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

var reference = regexp.MustCompile(`\(ref ([a-z2-7]{16})\)`)

// unnamed is an answer without what may differ: the name asked for, the
// reference, and the date.
func unnamed(a answer, name string) string {
	body := strings.ReplaceAll(a.body, name, "NAME")
	body = reference.ReplaceAllString(body, "(ref REF)")
	h := a.header.Clone()
	h.Del("Date")
	h.Del("Content-Length")
	return fmt.Sprintf("%d %v %s", a.status, h, body)
}

// TestDeniedIsUnknown holds that a tool that is there but denied can't be told
// from one that is not, in both eras.
func TestDeniedIsUnknown(t *testing.T) {
	w := newWorld(t)
	withHeader := `{"name":"drop_h","inputSchema":{"type":"object","properties":{"q":{"type":"string","x-mcp-header":"Q"}},"required":["q"]}}`
	up := newUpstream(t, tool("read_x", "r"), tool("drop_x", "d"), withHeader)
	w.mount("a1", up)
	w.mount("b2", newUpstream(t, tool("read_y", "r")))
	w.mountAs(w.tenant("other"), "c3", newUpstream(t, tool("read_z", "r")))
	a1, err := w.svc.Instance(t.Context(), w.op, "a1")
	must(t, err)
	k := w.key(func(n *keys.NewKey) {
		n.MCPReadOnly = keys.Some(true)
		n.MCPInstanceIDs = keys.Some(policy.Only(a1.ID))
	})
	c := w.connect(k, "/mcp")
	denied := []string{"a1__drop_x", "a1__drop_h", "b2__read_y", "c3__read_z", "create_api_key", "revoke_api_key"}
	want := unnamed(c.call("a1__nope", `{"q":1}`), "a1__nope")
	wantModern := unnamed(w.modern(k, "/mcp", "tools/call", `"name":"a1__nope","arguments":{"q":"v"}`), "a1__nope")
	if !strings.Contains(want, `-32602,"message":"Unknown tool: NAME (ref REF)"`) || want[:3] != wantModern[:3] {
		t.Fatalf("unknown tool: %s / %s", want, wantModern)
	}
	for _, name := range denied {
		if got := unnamed(c.call(name, `{"q":1}`), name); got != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
		for _, headers := range [][]string{nil, {"Mcp-Param-Q", "other"}, {"Mcp-Param-Q", "=?base64?%%?="}} {
			got := unnamed(w.modern(k, "/mcp", "tools/call", `"name":`+quoted(name)+`,"arguments":{"q":"v"}`, headers...), name)
			if got != wantModern {
				t.Errorf("%s %v:\n got %s\nwant %s", name, headers, got, wantModern)
			}
		}
	}
	if len(up.seen()) != 0 {
		t.Errorf("the upstream was called: %+v", up.seen())
	}

	// A key that may call it gets the header check.
	if a := w.modern(w.key(), "/mcp", "tools/call", `"name":"a1__drop_h","arguments":{"q":"v"}`, "Mcp-Param-Q", "other"); a.status != http.StatusBadRequest || !strings.Contains(a.body, "-32020") {
		t.Errorf("allowed, header differs: %d %s", a.status, a.body)
	}
	if a := w.modern(w.key(), "/mcp", "tools/call", `"name":"a1__drop_h","arguments":{"q":"v"}`, "Mcp-Param-Q", "v"); a.status != http.StatusOK || !strings.Contains(a.body, "ok") {
		t.Errorf("allowed, header fits: %d %s", a.status, a.body)
	}
}

// TestReferenceLeadsToDecision follows a denial's reference into the audit trail.
func TestReferenceLeadsToDecision(t *testing.T) {
	w := newWorld(t)
	w.mount("a1", newUpstream(t, tool("drop_x", "d")))
	k := w.key(func(n *keys.NewKey) { n.MCPReadOnly = keys.Some(true) })
	a := w.connect(k, "/mcp").call("a1__drop_x", `{"secret":"value"}`)
	ref := reference.FindStringSubmatch(a.body)
	if ref == nil {
		t.Fatal(a.body)
	}
	var found []keys.AuditEntry
	w.until("the denial is recorded", func() bool {
		var err error
		found, err = w.svc.AuditEvents(t.Context(), w.op, keys.AuditQuery{Ref: ref[1]})
		return err == nil && len(found) == 1
	})
	e := found[0]
	if e.Kind != "decision" || e.Decision != "deny" || !slices.Equal(e.Failed, []string{"readonly"}) || e.KeyID != k.Key.ID ||
		e.Tool != "a1__drop_x" || e.Subject != "a1/drop_x" || e.Client != "test/1" || len(e.ArgsDigest) != 64 {
		t.Errorf("recorded as %+v", e)
	}
	if raw, _ := json.Marshal(e); strings.Contains(string(raw), "value") {
		t.Errorf("an argument's value was recorded: %s", raw)
	}
}

// TestNobody holds that a missing principal, and one without a compiled
// policy, is denied everything.
func TestNobody(t *testing.T) {
	w := newWorld(t)
	full, err := w.svc.Authenticate(t.Context(), w.key().Secret)
	must(t, err)
	for name, c := range map[string]struct {
		p    keys.Principal
		want bool
	}{"a key": {full, true}, "nobody": {keys.Principal{}, false}, "the operator": {w.op, false}} {
		for _, tool := range []string{"whoami", "list_api_keys"} {
			if got := mcp.MayCall(w.gw, c.p, w.op.TenantID(), tool); got != c.want {
				t.Errorf("%s, %s: %v", name, tool, got)
			}
		}
	}
}

// TestEngineAsksTheGate holds that what reaches mcp-go's server on another way
// than the edge's is decided there too.
func TestEngineAsksTheGate(t *testing.T) {
	w := newWorld(t)
	full, err := w.svc.Authenticate(t.Context(), w.key().Secret)
	must(t, err)
	limited, err := w.svc.Authenticate(t.Context(), w.key(func(n *keys.NewKey) { n.MCPReadOnly = keys.Some(true) }).Secret)
	must(t, err)
	const list = `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`
	const revoke = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"revoke_api_key","arguments":{}}}`
	for name, c := range map[string]struct {
		p     *keys.Principal
		lists bool // revoke_api_key
		any   bool // anything
	}{"full": {&full, true, true}, "limited": {&limited, false, true}, "none": {nil, false, false}, "nobody": {&keys.Principal{}, false, false}} {
		listed := mcp.AskEngine(w.gw, c.p, w.op.TenantID(), list)
		called := mcp.AskEngine(w.gw, c.p, w.op.TenantID(), revoke)
		if strings.Contains(listed, `"revoke_api_key"`) != c.lists || strings.Contains(listed, `"whoami"`) != c.any {
			t.Errorf("%s: lists %s", name, listed)
		}
		if strings.Contains(called, "not found") == c.lists {
			t.Errorf("%s: call: %s", name, called)
		}
	}
}

// TestRevokedWhileTheBodyComes: a credential that counted when the headers came
// is asked again when the body is there.
func TestRevokedWhileTheBodyComes(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("read_x", "r"))
	w.mount("a1", up)
	k := w.key()
	c := w.connect(k, "/mcp")
	r, body := io.Pipe()
	got := make(chan answer, 1)
	go func() {
		got <- w.do(http.MethodPost, "/mcp", r, append([]string{"Content-Type", "application/json"}, c.headers...)...)
	}()
	_, err := io.WriteString(body, `{"jsonrpc":"2.0","id":1,`)
	must(t, err)
	w.until("the headers were looked at", func() bool { return w.authenticated.Load() >= 2 })
	_, err = w.svc.RevokeKey(t.Context(), w.op, k.Key.ID, keys.Revocation{})
	must(t, err)
	_, err = io.WriteString(body, `"method":"tools/call","params":{"name":"a1__read_x"}}`)
	must(t, err)
	must(t, body.Close())
	if a := <-got; a.status != http.StatusUnauthorized || len(up.seen()) != 0 {
		t.Errorf("%d %s, %d calls", a.status, a.body, len(up.seen()))
	}
}

// TestUnclassified holds that every method that mcp-go would answer is either
// classified or refused.
func TestUnclassified(t *testing.T) {
	w := newWorld(t)
	k := w.key()
	c := w.connect(k, "/mcp")
	offered := map[string]bool{"initialize": true, "ping": true, "logging/setLevel": true, "tools/list": true, "tools/call": true,
		"prompts/list": true, "resources/list": true, "resources/templates/list": true, "server/discover": true, "subscriptions/listen": true}
	n := 0
	for _, m := range append(mcp.Methods(), "roots/list", "sampling/createMessage", "elicitation/create", "tools/x", "") {
		if offered[m] {
			continue
		}
		n++
		old := c.send(`{"jsonrpc":"2.0","id":1,"method":` + quoted(m) + `}`)
		current := w.modern(k, "/mcp", m, "")
		if !strings.Contains(old.body, `"error"`) || !strings.Contains(current.body, `"error"`) || strings.Contains(old.body+current.body, `"result"`) {
			t.Errorf("%s: %s / %s", m, old.body, current.body)
		}
	}
	if n < 15 {
		t.Fatalf("only %d methods were tried", n)
	}
}

// TestListedIsCallable holds invariant 1 through the real server: with any
// policy and any narrowing, what is listed is exactly what can be called.
func TestListedIsCallable(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	default1, err := w.svc.Project(ctx, w.op, "default")
	must(t, err)
	up1 := newUpstream(t, tool("read_x", "r"), tool("write_x", "w"), tool("drop_x", "d"), tool("plain", "-")).
		with(others{[]string{prompt("ask_x"), prompt("plain")}, []string{resource("x:shared"), resource("x:a1")}, []string{template("x:a/{id}")}})
	up2 := newUpstream(t, tool("read_x", "r"), tool("write_y", "w")).
		with(others{[]string{prompt("ask_x")}, []string{resource("x:shared"), resource("x:b2")}, []string{template("x:b/{id}")}})
	for uri, up := range map[string]*fakeUpstream{"x:a1": up1, "x:b2": up2} {
		up.on(uri, func(fakeCall) string { return `{"contents":[{"uri":` + quoted(uri) + `,"text":"listed"}]}` })
	}
	a1 := w.mount("a1", up1,
		func(s *keys.InstanceSpec) {
			s.Tools = keys.Some([]keys.ToolRule{{Match: "plain", Category: "search", Effect: policy.EffectRead}})
		})
	project, err := w.svc.CreateProject(ctx, w.op, keys.NewProject{Slug: "p2", Name: "p2"})
	must(t, err)
	b2 := w.mount("b2", up2, func(s *keys.InstanceSpec) {
		s.ProjectID, s.WriteEnabled = keys.Some(project.ID), keys.Some(false)
	})
	all := w.connect(w.key(), "/mcp").list()
	if len(all) != 5+13 {
		t.Fatalf("%d tools: %v", len(all), all)
	}
	all = append(all, "b2__write_y") // hidden from every key: the instance is not for writing
	patterns := []string{"*", "read_*", "*_x", "a1__*", "a1/*", "@search", "@keys", "b2__write_y", "drop_x", "whoami", "bailiwick/*", "list_*"}
	limit := func(rt *rapid.T, label string, values ...string) keys.Opt[policy.Limit] {
		if rapid.Bool().Draw(rt, label+" unlimited") {
			return keys.Null[policy.Limit]()
		}
		return keys.Some(policy.Only(rapid.SliceOfDistinct(rapid.SampledFrom(values), rapid.ID[string]).Draw(rt, label)...))
	}
	var allowed, refused [5]int // tools and each of otherKinds
	rapid.Check(t, func(rt *rapid.T) {
		k := w.key(func(n *keys.NewKey) {
			n.MCPReadOnly = keys.Some(rapid.Bool().Draw(rt, "readonly"))
			n.MCPPreset = keys.Some(rapid.SampledFrom([]string{"read_only", "standard", "full_access", "custom"}).Draw(rt, "preset"))
			n.MCPAllowlistMode = keys.Some(rapid.SampledFrom([]policy.Mode{policy.ModeAll, policy.ModeAllow, policy.ModeDeny}).Draw(rt, "mode"))
			n.MCPToolAllowlist = keys.Some(rapid.SliceOfN(rapid.SampledFrom(patterns), 0, 3).Draw(rt, "patterns"))
			n.MCPPermissions = limit(rt, "permissions", "mcp:tools", "mcp:search", "mcp:keys", "mcp:*")
			n.MCPInstanceIDs = limit(rt, "instances", a1.ID, b2.ID)
			n.MCPProjectIDs = limit(rt, "projects", project.ID, default1.ID)
			n.Permissions = keys.Some(rapid.SampledFrom([][]string{{}, {"*"}, {"view:api-keys"}, {"view:audit", "view:projects"}}).Draw(rt, "rest"))
		})
		path := rapid.SampledFrom([]string{"/mcp", "/mcp?instances=a1", "/mcp?categories=search,keys", "/mcp?readonly=true", "/mcp?instances="}).Draw(rt, "path")
		var headers []string
		if rapid.Bool().Draw(rt, "header") {
			headers = []string{"X-MCP-Exclude-Tools", "*_x"}
		}
		c := w.connect(k, path, headers...)
		listed := c.list()
		if current := names(t, w.modern(k, path, "tools/list", "", headers...)); !slices.Equal(listed, current) {
			rt.Fatalf("the eras list differently: %v / %v", listed, current)
		}
		if !slices.IsSorted(listed) {
			rt.Fatalf("not in order: %v", listed)
		}
		if may := w.explained(k.Key.ID); path == "/mcp" && headers == nil && !slices.Equal(may, listed) {
			rt.Fatalf("explained %v, listed %v", may, listed)
		}
		for _, name := range append(all, "a1__nope") {
			// Built-ins are called with an argument they refuse, so that they do nothing.
			a := c.call(name, `{"no such argument":1}`)
			called := !strings.Contains(a.body, "Unknown tool: "+name)
			if called != slices.Contains(listed, name) {
				rt.Fatalf("%s: listed %v, callable %v: %s", name, slices.Contains(listed, name), called, a.body)
			}
			if called {
				allowed[0]++
			} else {
				refused[0]++
			}
		}
		for i, o := range otherKinds {
			listed := c.listOf(o.list, o.member, o.named)
			for _, name := range o.all {
				a := c.send(o.use(name))
				called := !strings.Contains(a.body, "Unknown ")
				if o.member == "resources" {
					// One that nothing lists may be any instance's, if it can only be one's.
					called = strings.Contains(a.body, "listed")
					none := strings.ReplaceAll(c.send(o.use("x:nope")).body, "x:nope", name)
					if !called && reference.ReplaceAllString(a.body, "") != reference.ReplaceAllString(none, "") {
						rt.Fatalf("%s can be told from nothing: %s / %s", name, a.body, none)
					}
				}
				if called != slices.Contains(listed, name) {
					rt.Fatalf("%s %s: listed %v, callable %v: %s", o.list, name, slices.Contains(listed, name), called, a.body)
				}
				if called {
					allowed[i+1]++
				} else {
					refused[i+1]++
				}
			}
		}
	})
	for i := range allowed {
		if allowed[i] == 0 || refused[i] == 0 {
			t.Fatalf("%v allowed, %v refused: one side was never tried", allowed, refused)
		}
	}
}

// otherKinds is how each kind but tools is listed and used, with what there is
// of it and what there is not, in the worlds that have two instances of them.
var otherKinds = []struct {
	list, member, named string
	all                 []string
	use                 func(name string) string
}{
	{"prompts/list", "prompts", "name", []string{"a1__ask_x", "a1__plain", "b2__ask_x", "a1__nope"}, func(name string) string {
		return `{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":` + quoted(name) + `}}`
	}},
	{"prompts/list", "prompts", "name", []string{"a1__ask_x", "a1__plain", "b2__ask_x", "a1__nope"}, func(name string) string {
		return completion(`"type":"ref/prompt","name":` + quoted(name))
	}},
	{"resources/list", "resources", "uri", []string{"x:a1", "x:b2"}, func(uri string) string {
		return `{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":` + quoted(uri) + `}}`
	}},
	{"resources/templates/list", "resourceTemplates", "uriTemplate", []string{"x:a/{id}", "x:b/{id}", "x:c/{id}"}, func(text string) string {
		return completion(`"type":"ref/resource","uri":` + quoted(text))
	}},
}

func completion(ref string) string {
	return `{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{` + ref + `},"argument":{"name":"a","value":"v"}}}`
}
