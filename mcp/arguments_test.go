package mcp_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

func withArguments(rules ...policy.ArgumentRule) func(*keys.NewKey) {
	return func(n *keys.NewKey) { n.MCPArgumentRules = keys.Some(rules) }
}

func named(tool, pointer string, allow ...string) policy.ArgumentRule {
	return policy.ArgumentRule{Tool: tool, Pointer: pointer, Allow: allow}
}

// TestArgumentRules: what a rule names is listed as ever, and called with the
// arguments that it allows alone, in both eras.
func TestArgumentRules(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("find", "r"), tool("free", "r")).with(others{prompts: []string{prompt("ask")}})
	w.mount("a1", up)
	k := w.key(withArguments(named("a1/find", "/project", "team-*"), named("ask", "/at/0/id", "x"), named("list_projects", "/a", "b")))
	c := w.connect(k, "/mcp")
	if got, want := c.list(), w.connect(w.key(), "/mcp").list(); !slices.Equal(got, want) {
		t.Errorf("lists %v, without rules %v", got, want)
	}
	for era, ask := range w.eras(k, "/mcp") {
		for _, call := range []struct {
			method, name, arguments, pointer string // "" = allowed
		}{
			{"tools/call", "a1__find", `{"project":"team-a","q":[1,{"project":"other"}]}`, ""},
			{"tools/call", "a1__find", `{"pro\u006aect":"team-\u0061"}`, ""},
			{"tools/call", "a1__find", `{"project":"other"}`, "/project"},
			{"tools/call", "a1__find", `{"project":"team-a","project":"team-a"}`, "/project"},
			{"tools/call", "a1__find", `{"project":"team-a","pro\u006aect":"other"}`, "/project"},
			{"tools/call", "a1__find", `{"project":"team-a","Project":"other"}`, "/project"},
			{"tools/call", "a1__find", `{"Project":"team-a"}`, "/project"},
			{"tools/call", "a1__find", `{"project":["team-a"]}`, "/project"},
			{"tools/call", "a1__find", `{"project":"team-\ud800"}`, "/project"},
			{"tools/call", "a1__find", `{}`, "/project"},
			{"tools/call", "a1__find", "", "/project"},
			{"tools/call", "a1__free", "", ""},
			{"prompts/get", "a1__ask", `{"at":[{"id":"x"}]}`, ""},
			{"prompts/get", "a1__ask", `{"at":[{"id":"y"},{"id":"x"}]}`, "/at/0/id"},
			{"prompts/get", "a1__ask", "", "/at/0/id"},
			{"tools/call", "list_projects", `{}`, "/a"},
			{"tools/call", "whoami", `{}`, ""},
		} {
			before, params := len(up.seen()), `"name":`+quoted(call.name)
			if call.arguments != "" {
				params += `,"arguments":` + call.arguments
			}
			a := ask(call.method, params)
			what := era + " " + call.name + " " + call.arguments
			if call.pointer == "" {
				if strings.Contains(a.body, `"error"`) {
					t.Errorf("%s: %d %s", what, a.status, a.body)
				}
				continue
			}
			want := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"Argument not allowed: %s (ref REF)"}}`, call.pointer)
			if got := reference.ReplaceAllString(a.body, "(ref REF)"); strings.TrimSpace(got) != want {
				t.Errorf("%s: %d\n got %s\nwant %s", what, a.status, got, want)
			}
			if len(up.seen()) != before {
				t.Errorf("%s: the upstream was called", what)
			}
		}
	}
}

// What is named and takes no arguments lacks them, whatever the message says of any;
// and a hidden thing stays unknown.
func TestArgumentRulesOfWhatTakesNone(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("find", "r"), tool("drop", "d")).with(others{[]string{prompt("ask")}, []string{resource("x:/a"), resource("x:/b")}, []string{template("x:/t/{id}"), template("x:/u/{id}")}})
	for _, uri := range []string{"x:/a", "x:/b", "x:/t/1", "x:/t/2", "x:/u/1"} {
		up.on(uri, func(c fakeCall) string { return `{"contents":[{"uri":` + quoted(c.URI) + `,"text":"t"}]}` })
	}
	w.mount("a1", up)
	k := w.key(withArguments(named("a1/x:/a", "/p", "*"), named("a1/ask", "/p", "*"), named("a1/x:/t/1", "/p", "*"), named("drop", "/p", "*"),
		named("a1/x:/u/*id*", "/q", "*")), func(n *keys.NewKey) { n.MCPReadOnly = keys.Some(true) })
	for era, ask := range w.eras(k, "/mcp") {
		for _, c := range []struct{ method, params, want string }{
			{"resources/read", `"uri":"x:/b"`, `"text":"t"`},
			{"resources/read", `"uri":"x:/a"`, "Argument not allowed: /p (ref "},
			{"resources/read", `"uri":"x:/a","arguments":{"p":"x"}`, "Argument not allowed: /p (ref "},
			{"resources/read", `"uri":"x:/t/1"`, "Argument not allowed: /"},
			{"resources/read", `"uri":"x:/t/%31"`, "Argument not allowed: /"},
			{"resources/read", `"uri":"x:/t/2"`, `"text":"t"`},
			{"resources/read", `"uri":"x:/u/1"`, "Argument not allowed: /q (ref "},
			{"completion/complete", `"ref":{"type":"ref/prompt","name":"a1__ask"},"argument":{"name":"a","value":""},"arguments":{"p":"x"}`, "Argument not allowed: /p (ref "},
			{"completion/complete", `"ref":{"type":"ref/resource","uri":"x:/u/{id}"},"argument":{"name":"id","value":""}`, "Argument not allowed: /q (ref "},
			{"tools/call", `"name":"a1__drop","arguments":{}`, "Unknown tool: a1__drop (ref "},
		} {
			if a := ask(c.method, c.params); !strings.Contains(a.body, c.want) {
				t.Errorf("%s %s %s: %s, want %s", era, c.method, c.params, a.body, c.want)
			}
		}
	}
	if got := w.connect(k, "/mcp").listOf("resources/list", "resources", "uri"); !slices.Equal(got, []string{"x:/a", "x:/b"}) {
		t.Errorf("lists %v", got)
	}
}

// The reference of a denial leads to what was demanded, and to no value.
func TestArgumentDenialIsRecorded(t *testing.T) {
	w := newWorld(t)
	w.mount("a1", newUpstream(t, tool("find", "r")))
	k := w.key(withArguments(named("find", "/project", "team-*")))
	a := w.connect(k, "/mcp").call("a1__find", `{"project":"secret"}`)
	ref := reference.FindStringSubmatch(a.body)
	if ref == nil {
		t.Fatal(a.body)
	}
	e := w.entry(k, "a1__find")
	if e.Decision != "deny" || e.Kind != "decision" || e.Ref != ref[1] || !slices.Equal(e.Failed, []string{"argument.not_allowed"}) {
		t.Errorf("recorded as %+v", e)
	}
	detail := string(e.Detail)
	if want := `{"observed":"needs /project to match one of: \"team-*\" (it is another value)","ok":false,"pattern":null,"rule":"argument.not_allowed"}`; !strings.Contains(detail, want) {
		t.Errorf("recorded as %s, want %s", detail, want)
	}
	if strings.Contains(detail, "secret") {
		t.Errorf("a value was recorded: %s", detail)
	}
	counted := uint64(0)
	for _, d := range w.gw.Stats().Decisions {
		if d.Kind == "tool" && d.Reason == policy.RuleArgument {
			counted = d.Count
		}
	}
	if counted != 1 {
		t.Errorf("counted %d times", counted)
	}
}

// An explanation has what calls must meet, and judges the arguments that are given.
func TestArgumentsAreExplained(t *testing.T) {
	w := newWorld(t)
	w.mount("a1", newUpstream(t, tool("find", "r"), tool("free", "r")).with(others{resources: []string{resource("x:/a")}}))
	k := w.key(withArguments(named("find", "/project", "team-*"), named("a1/x:/*", "/project", "*")))
	c := w.connect(k, "/mcp")
	for _, x := range []struct{ tool, more, decision, line string }{
		{"a1__find", ``, "allow", `{"rule":"argument.not_allowed","ok":true,"observed":"needs /project to match one of: \"team-*\""`},
		{"a1__find", `,"arguments":{"project":"team-a"}`, "allow", `{"rule":"argument.not_allowed","ok":true,"observed":"the arguments are as needed: needs`},
		{"a1__find", `,"arguments":{"project":"b"}`, "deny", `{"rule":"argument.not_allowed","ok":false,"observed":"needs /project to match one of: \"team-*\" (it is another value)"`},
		{"a1/x:/a", ``, "deny", `{"rule":"argument.not_allowed","ok":false,"observed":"needs /project to match one of: \"*\" (it is not there)"`},
		{"a1__free", ``, "allow", ""},
		{"a1__nope", `,"arguments":{}`, "deny", ""},
	} {
		a := c.call("explain_access", `{"tool":`+quoted(x.tool)+x.more+`}`)
		if !strings.Contains(a.body, `"decision":"`+x.decision+`"`) || !strings.Contains(a.body, x.line) || (x.line == "") == strings.Contains(a.body, `"rule":"argument.not_allowed"`) {
			t.Errorf("%s%s: %s", x.tool, x.more, a.body)
		}
	}
}

// TestProjectPointer: a key that is limited to projects names only those, as they
// are after each edit has answered; other keys name what they like.
func TestProjectPointer(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	red, err := w.svc.CreateProject(ctx, w.op, keys.NewProject{Slug: "red", Name: "Red"})
	must(t, err)
	blue, err := w.svc.CreateProject(ctx, w.op, keys.NewProject{Slug: "blue", Name: "Blue"})
	must(t, err)
	w.mount("a1", newUpstream(t, tool("find", "r"), tool("find_all", "r"), tool("free", "r")), func(s *keys.InstanceSpec) {
		s.ProjectID = keys.Some(red.ID)
		s.Tools = keys.Some([]keys.ToolRule{{Match: "find*", ProjectPointer: "/project"}, {Match: "find", Effect: policy.EffectRead, ProjectPointer: "/at/project"}})
	})
	free := w.connect(w.key(), "/mcp")
	limited := w.connect(w.key(func(n *keys.NewKey) { n.MCPProjectIDs = keys.Some(policy.Only(red.ID)) }), "/mcp")
	confined := w.connect(w.key(func(n *keys.NewKey) {
		n.ProjectID, n.Permissions = red.ID, keys.Some([]string{})
	}), "/mcp")
	check := func(when string, c *legacy, tool, arguments string, allowed bool) {
		t.Helper()
		a := c.call(tool, arguments)
		if ok := !strings.Contains(a.body, `"error"`); ok != allowed || !ok && !strings.Contains(a.body, "Argument not allowed: /") {
			t.Errorf("%s, %s %s: %s", when, tool, arguments, a.body)
		}
	}
	for name, c := range map[string]*legacy{"limited": limited, "confined": confined} {
		check(name, c, "a1__find_all", `{"project":"red"}`, true)
		check(name, c, "a1__find_all", `{"project":`+quoted(red.ID)+`}`, true)
		check(name, c, "a1__find_all", `{"project":"blue"}`, false)
		check(name, c, "a1__find_all", `{"project":`+quoted(blue.ID)+`}`, false)
		check(name, c, "a1__find_all", `{}`, false)
		check(name, c, "a1__find_all", `{"project":"RED"}`, false)
		check(name, c, "a1__find", `{"project":"red"}`, false) // the exact name's rule comes first
		check(name, c, "a1__find", `{"at":{"project":"red"}}`, true)
		check(name, c, "a1__free", `{"project":"blue"}`, true)
	}
	check("without limits", free, "a1__find_all", `{"project":"blue"}`, true)
	check("without limits", free, "a1__find_all", `{}`, true)
	for range 3 { // each edit counts from its answer on
		_, err = w.svc.UpdateProject(ctx, w.op, red.ID, keys.ProjectPatch{Slug: keys.Some("crimson")})
		must(t, err)
		check("renamed", limited, "a1__find_all", `{"project":"red"}`, false)
		check("renamed", limited, "a1__find_all", `{"project":"crimson"}`, true)
		_, err = w.svc.UpdateProject(ctx, w.op, blue.ID, keys.ProjectPatch{Slug: keys.Some("red")})
		must(t, err)
		check("another is red now", limited, "a1__find_all", `{"project":"red"}`, false)
		_, err = w.svc.UpdateProject(ctx, w.op, blue.ID, keys.ProjectPatch{Slug: keys.Some("blue")})
		must(t, err)
		_, err = w.svc.UpdateProject(ctx, w.op, red.ID, keys.ProjectPatch{Slug: keys.Some("red")})
		must(t, err)
		check("renamed back", limited, "a1__find_all", `{"project":"red"}`, true)
	}
	both := w.connect(w.key(func(n *keys.NewKey) { n.MCPProjectIDs = keys.Some(policy.Only(red.ID, blue.ID)) }), "/mcp")
	check("of two", both, "a1__find_all", `{"project":"blue"}`, true)
	must(t, w.svc.DeleteProject(ctx, w.op, blue.ID))
	check("deleted", both, "a1__find_all", `{"project":"blue"}`, false)
	check("deleted", both, "a1__find_all", `{"project":`+quoted(blue.ID)+`}`, false)
	made, err := w.svc.CreateProject(ctx, w.op, keys.NewProject{Slug: "blue", Name: "Another"})
	must(t, err)
	check("another of its name", both, "a1__find_all", `{"project":"blue"}`, false)
	third := w.connect(w.key(func(n *keys.NewKey) { n.MCPProjectIDs = keys.Some(policy.Only(red.ID, made.ID)) }), "/mcp")
	check("just made", third, "a1__find_all", `{"project":"blue"}`, true)

	// Without the pointer nothing is demanded any more, and with it again all is.
	for range 2 {
		_, err = w.svc.UpdateInstance(ctx, w.op, "a1", keys.InstanceSpec{Tools: keys.Some([]keys.ToolRule{})})
		must(t, err)
		check("no pointer", limited, "a1__find_all", `{}`, true)
		_, err = w.svc.UpdateInstance(ctx, w.op, "a1", keys.InstanceSpec{Tools: keys.Some([]keys.ToolRule{{Match: "*", ProjectPointer: "/p"}})})
		must(t, err)
		check("another pointer", limited, "a1__find_all", `{"p":"red"}`, true)
		check("another pointer", limited, "a1__find_all", `{"project":"red"}`, false)
	}
}

// TestUnreadProjects: after an edit of a project that can't be read, no argument
// names any, until it can.
func TestUnreadProjects(t *testing.T) {
	w := newWorld(t)
	red, err := w.svc.CreateProject(t.Context(), w.op, keys.NewProject{Slug: "red", Name: "Red"})
	must(t, err)
	w.mount("a1", newUpstream(t, tool("find", "r")), func(s *keys.InstanceSpec) {
		s.ProjectID, s.Tools = keys.Some(red.ID), keys.Some([]keys.ToolRule{{Match: "find", ProjectPointer: "/project"}})
	})
	blind := &blindStore{Store: w.store}
	svc, err := keys.New(t.Context(), keys.Config{Store: blind, Now: w.clock.Now, AllowPrivateUpstreams: true,
		Root: keys.RootSecret{Version: 1, Value: keys.Secret("0123456789abcdefghijklmnopqrstuvwxyz-root")}})
	must(t, err)
	s := w.second(func(c *mcp.Config) { c.Service = svc })
	s.svc = svc
	s.run()
	k := w.key(func(n *keys.NewKey) { n.MCPProjectIDs = keys.Some(policy.Only(red.ID)) })
	ask := func() string {
		return s.modern(k, "/mcp", "tools/call", `"name":"a1__find","arguments":{"project":"red"}`).body
	}
	s.until("it answers", func() bool { return strings.Contains(ask(), `"ok"`) })
	for _, deaf := range []bool{false, true} {
		blind.blind.Store(true)
		blind.deaf.Store(deaf)
		_, err = svc.UpdateProject(t.Context(), w.op, red.ID, keys.ProjectPatch{Slug: keys.Some("crimson")})
		must(t, err)
		if a := ask(); strings.Contains(a, `"ok"`) {
			t.Errorf("deaf %v, named by what is not known: %s", deaf, a)
		}
		blind.deaf.Store(false)
		_, err = svc.UpdateProject(t.Context(), w.op, red.ID, keys.ProjectPatch{Slug: keys.Some("red")})
		must(t, err)
		blind.blind.Store(false)
		s.until("it answers again", func() bool { return strings.Contains(ask(), `"ok"`) })
	}
}

// A call that waits for its client's answers is decided with its arguments at every
// round: a rule that comes between ends it.
func TestArgumentRuleBetweenRounds(t *testing.T) {
	w := newWorld(t)
	up := newModern(t, tool("find", "r"))
	up.on("find", func(c fakeCall) string {
		if strings.Contains(string(c.Params), "inputResponses") {
			return `{"content":[{"type":"text","text":"done"}]}`
		}
		return `{"resultType":"input_required","inputRequests":{"q":{"method":"elicitation/create","params":{"mode":"form","message":"m","requestedSchema":{"type":"object","properties":{}}}}},"requestState":"s"}`
	})
	w.mount("a1", up)
	k := w.key(withArguments(named("find", "/project", "a", "b")))
	meta := strings.Replace(modernMeta, `clientCapabilities":{}`, `clientCapabilities":{"elicitation":{"form":{}}}`, 1)
	send := func(more string) answer {
		return w.post("/mcp", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a1__find","arguments":{"project":"a"},`+more+meta+`}}`,
			append(auth(k), "Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", "tools/call", "Mcp-Name", "a1__find")...)
	}
	first := send("")
	var v struct {
		Result struct{ RequestState string }
	}
	must(t, json.Unmarshal([]byte(first.body), &v))
	if v.Result.RequestState == "" {
		t.Fatal(first.body)
	}
	again := `"inputResponses":{"q":{"action":"accept","content":{}}},"requestState":` + quoted(v.Result.RequestState) + `,`
	if a := send(again); !strings.Contains(a.body, "done") {
		t.Fatalf("the second round: %s", a.body)
	}
	_, err := w.svc.UpdateKey(t.Context(), w.op, k.Key.ID, keys.KeyPatch{PolicyPatch: keys.PolicyPatch{
		MCPArgumentRules: keys.Some([]policy.ArgumentRule{named("find", "/project", "b")})}})
	must(t, err)
	if a := send(again); !strings.Contains(a.body, "Argument not allowed: /project (ref ") {
		t.Errorf("after the edit: %s", a.body)
	}
}
