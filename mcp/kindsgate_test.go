package mcp_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// kindsWorld has two instances that the key sees, one that it does not, and one
// of another tenant; of the first, the key may not have what begins with no.
func kindsWorld(t *testing.T) (w *world, ups map[string]*fakeUpstream, k keys.Issued) {
	w = newWorld(t)
	other := w.tenant("other")
	ups = map[string]*fakeUpstream{}
	ids := map[string]string{}
	for slug, p := range map[string]keys.Principal{"a1": w.op, "a2": w.op, "b2": w.op, "c3": other} {
		ups[slug] = newUpstream(t, tool("t", "r")).with(others{
			[]string{prompt(slug), prompt("no" + slug)},
			[]string{resource("x:" + slug), resource("x:no" + slug), resource("x:all")},
			[]string{template("x:" + slug + "/{id}"), template("x:no" + slug + "/{id}")}})
		for _, uri := range []string{"x:all", "x:" + slug, "x:" + slug + "/1"} {
			ups[slug].on(uri, func(c fakeCall) string {
				return `{"contents":[{"uri":` + quoted(c.URI) + `,"text":"of ` + slug + `"}]}`
			})
		}
		ids[slug] = w.mountAs(p, slug, ups[slug]).ID
	}
	return w, ups, w.key(func(n *keys.NewKey) {
		n.MCPInstanceIDs = keys.Some(policy.Only(ids["a1"], ids["a2"]))
		n.MCPAllowlistMode, n.MCPToolAllowlist = keys.Some(policy.ModeDeny), keys.Some([]string{"no*", "*__x:no*"})
	})
}

// deniedKinds is, for each way to name a thing, what is there and denied.
var deniedKinds = []struct {
	method string
	params func(name string) string
	names  []string // prompts, uris or templates
	nope   string
}{
	{"prompts/get", func(n string) string { return `"name":` + quoted(n) }, []string{"a1__noa1", "b2__b2", "c3__c3", "a1__t", "whoami"}, "a1__nope"},
	{"completion/complete", func(n string) string {
		return `"ref":{"type":"ref/prompt","name":` + quoted(n) + `},"argument":{"name":"a","value":""}`
	}, []string{"a1__noa1", "b2__b2", "c3__c3"}, "a1__nope"},
	{"resources/read", func(n string) string { return `"uri":` + quoted(n) },
		[]string{"x:noa1", "x:b2", "x:c3", "x:noa1/1", "x:b2/1", "x:c3/1"}, "x:nope"},
	{"completion/complete", func(n string) string {
		return `"ref":{"type":"ref/resource","uri":` + quoted(n) + `},"argument":{"name":"id","value":""}`
	}, []string{"x:noa1/{id}", "x:b2/{id}", "x:c3/{id}"}, "x:nope/{id}"},
}

// TestDeniedKindsAreUnknown holds that what is there but denied can't be told
// from what is not, whatever it is, in both eras.
func TestDeniedKindsAreUnknown(t *testing.T) {
	w, ups, k := kindsWorld(t)
	for era, ask := range w.eras(k, "/mcp") {
		for _, d := range deniedKinds {
			want := unnamed(ask(d.method, d.params(d.nope)), d.nope)
			code := `"code":-32602`
			if d.method == "resources/read" && era == "legacy" {
				code = `"code":-32002`
			}
			if !strings.Contains(want, code) || !strings.Contains(want, "Unknown ") || strings.Contains(want, `"data":{"uri":"NAME"}`) != (d.method == "resources/read") {
				t.Fatalf("%s, %s: %s", era, d.method, want)
			}
			for _, name := range d.names {
				if got := unnamed(ask(d.method, d.params(name)), name); got != want {
					t.Errorf("%s, %s %s:\n got %s\nwant %s", era, d.method, name, got, want)
				}
			}
		}
	}
	for slug, up := range ups {
		if calls := up.seen(); len(calls) != 0 {
			t.Errorf("%s was asked: %s", slug, calls[0].Params)
		}
	}
	// A name too long, or of a strange kind, is nobody's either.
	for _, ask := range w.eras(k, "/mcp") {
		for _, uri := range []string{"x:" + strings.Repeat("a", 4000), "x:\u00e9"} {
			if a := ask("resources/read", `"uri":`+quoted(uri)); !strings.Contains(a.body, `"error"`) || strings.Contains(a.body, "contents") {
				t.Errorf("%.20q: %s", uri, a.body)
			}
		}
		for _, ref := range []string{`null`, `{}`, `[]`, `"x"`, `{"type":"ref/prompt"}`, `{"type":"ref/other","name":"a1__a1"}`, `{"type":"ref/prompt","uri":"x:a1"}`,
			`{"type":"ref/prompt","Name":"a1__noa1","name":"a1__a1"}`, `{"type":"ref/prompt","name":"a1__a1","name":"a1__noa1"}`, `{"type":"ref/resource","name":"a1__a1"}`} {
			if a := ask("completion/complete", `"ref":`+ref+`,"argument":{"name":"a","value":""}`); !strings.Contains(a.body, "-32602") && !strings.Contains(a.body, "-32600") {
				t.Errorf("ref %s: %s", ref, a.body)
			}
		}
	}
}

// TestHiddenInstanceHasNothing: of an instance that the key can't see, or
// that is disabled, nothing is there, in lists and in reads.
func TestHiddenInstanceHasNothing(t *testing.T) {
	w, _, k := kindsWorld(t)
	seesAll := w.key()
	_, err := w.svc.UpdateInstance(t.Context(), w.op, "a2", keys.InstanceSpec{Enabled: keys.Some(false)})
	must(t, err)
	for name, c := range map[string]struct {
		k    keys.Issued
		path string
		want map[string][]string
	}{
		"the key's own": {k, "/mcp", map[string][]string{"prompts/list": {"a1__a1"}, "resources/list": {"x:a1", "x:all"}, "resources/templates/list": {"x:a1/{id}"}}},
		"a full key's": {seesAll, "/mcp", map[string][]string{"prompts/list": {"a1__a1", "a1__noa1", "b2__b2", "b2__nob2"},
			"resources/list": {"x:a1", "x:all", "x:noa1", "x:b2", "x:nob2"}, "resources/templates/list": {"x:a1/{id}", "x:noa1/{id}", "x:b2/{id}", "x:nob2/{id}"}}},
		"narrowed to b2": {seesAll, "/mcp/b2", map[string][]string{"prompts/list": {"b2__b2", "b2__nob2"}, "resources/list": {"x:all", "x:b2", "x:nob2"}, "resources/templates/list": {"x:b2/{id}", "x:nob2/{id}"}}},
		"to a category":  {seesAll, "/mcp?categories=keys", map[string][]string{"prompts/list": {}, "resources/list": {}, "resources/templates/list": {}}},
		"to nothing":     {seesAll, "/mcp?instances=", map[string][]string{"prompts/list": {}, "resources/list": {}, "resources/templates/list": {}}},
		"to what reads":  {seesAll, "/mcp/b2?readonly=true", map[string][]string{"prompts/list": {"b2__b2", "b2__nob2"}, "resources/list": {"x:all", "x:b2", "x:nob2"}, "resources/templates/list": {"x:b2/{id}", "x:nob2/{id}"}}},
	} {
		member := map[string][2]string{"prompts/list": {"prompts", "name"}, "resources/list": {"resources", "uri"}, "resources/templates/list": {"resourceTemplates", "uriTemplate"}}
		l := w.connect(c.k, c.path)
		for method, want := range c.want {
			got := l.listOf(method, member[method][0], member[method][1])
			if !slices.Equal(got, want) {
				t.Errorf("%s, %s: %v, want %v", name, method, got, want)
			}
			if modern := w.modern(c.k, c.path, method, "").body; strings.Count(modern, `"`+member[method][1]+`":`) < len(want) || len(want) == 0 && !strings.Contains(modern, `:[]`) {
				t.Errorf("%s, %s, modern: %s", name, method, modern)
			}
		}
	}
}

// TestWhoseURI: which instance a uri is read at.
func TestWhoseURI(t *testing.T) {
	w, _, k := kindsWorld(t)
	a1, err := w.svc.Instance(t.Context(), w.op, "a1")
	must(t, err)
	onlyA1 := w.key(func(n *keys.NewKey) { n.MCPInstanceIDs = keys.Some(policy.Only(a1.ID)) })
	full := w.key()
	const unknown = ""
	for name, c := range map[string]struct {
		k         keys.Issued
		path, uri string
		want      string // in the text of the result
	}{
		"listed":                            {k, "/mcp", "x:a2", "of a2"},
		"at two, the first":                 {k, "/mcp", "x:all", "of a1"},
		"at two, by path":                   {k, "/mcp/a2", "x:all", "of a2"},
		"at two, by query":                  {k, "/mcp?instances=a2", "x:all", "of a2"},
		"at the one that it has":            {onlyA1, "/mcp", "x:all", "of a1"},
		"at three":                          {full, "/mcp?instances=b2,a2", "x:all", "of a2"},
		"fits a template":                   {k, "/mcp", "x:a2/1", "of a2"},
		"fits one of the denied uris":       {k, "/mcp", "x:noa1/1", unknown},
		"narrowed away":                     {k, "/mcp/a1", "x:a2/2", "ok"}, // nothing that a1 lists, but perhaps has
		"unlisted, one instance":            {onlyA1, "/mcp", "x:odd", "ok"},
		"unlisted, several":                 {full, "/mcp", "x:odd", unknown},
		"unlisted, narrowed to one":         {full, "/mcp/b2", "x:odd", "ok"},
		"unlisted, none":                    {full, "/mcp?instances=bailiwick", "x:odd", unknown},
		"another's, unlisted at the one":    {onlyA1, "/mcp", "x:b2", "ok"},
		"another tenant's, at the one":      {onlyA1, "/mcp", "x:c3", "ok"},
		"listed but no template's of its":   {full, "/mcp", "x:noa1", "ok"},
		"a template's own text is no uri's": {full, "/mcp", "x:a1/{id}/2", unknown},
	} {
		for era, ask := range w.eras(c.k, c.path) {
			a := ask("resources/read", `"uri":`+quoted(c.uri))
			if c.want == unknown && !strings.Contains(a.body, "Unknown resource: "+c.uri) || !strings.Contains(a.body, c.want) {
				t.Errorf("%s, %s: %s", name, era, a.body)
			}
		}
	}
}

// TestDeniedURIByTemplate: a uri that is denied by itself is not to be had by a
// template that it fits and that is allowed, nor by being unlisted.
func TestDeniedURIByTemplate(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t).with(others{resources: []string{resource("file:///etc/shadow"), resource("file:///etc/motd")},
		templates: []string{template("file:///{+path}")}})
	w.mount("a1", up)
	k := w.key(func(n *keys.NewKey) {
		n.MCPAllowlistMode, n.MCPToolAllowlist = keys.Some(policy.ModeDeny), keys.Some([]string{"*/etc/sha*"})
	})
	for era, ask := range w.eras(k, "/mcp") {
		for uri, allowed := range map[string]bool{"file:///etc/motd": true, "file:///etc/hosts": true, "file:///etc/shadow": false, "file:///etc/shadow-": false} {
			if a := ask("resources/read", `"uri":`+quoted(uri)); strings.Contains(a.body, `"contents"`) != allowed {
				t.Errorf("%s, %s: %s", era, uri, a.body)
			}
		}
	}
	for _, c := range up.seen() {
		if strings.Contains(c.URI, "shadow") {
			t.Errorf("%s was read", c.URI)
		}
	}
}

// TestKindsInPolicies: patterns and categories hold for prompts, resources and
// templates as for tools that only read.
func TestKindsInPolicies(t *testing.T) {
	w := newWorld(t)
	rules := func(s *keys.InstanceSpec) {
		s.Tools = keys.Some([]keys.ToolRule{{Match: "ask", Category: "search"}, {Match: "x:s*", Category: "search", Effect: policy.EffectDestructive}})
	}
	w.mount("a1", newUpstream(t).with(others{[]string{prompt("ask"), prompt("say")},
		[]string{resource("x:s"), resource("x:o")}, []string{template("x:s/{id}"), template("x:o/{id}")}}), rules)
	w.mount("b2", newUpstream(t).with(others{[]string{prompt("ask")}, []string{resource("x:b")}, nil}))
	all := []string{"a1__ask", "a1__say", "b2__ask", "x:o", "x:s", "x:b", "x:o/{id}", "x:s/{id}"}
	list := func(mode policy.Mode, patterns ...string) func(*keys.NewKey) {
		return func(n *keys.NewKey) {
			n.MCPAllowlistMode, n.MCPToolAllowlist = keys.Some(mode), keys.Some(patterns)
		}
	}
	allow := func(patterns ...string) func(*keys.NewKey) { return list(policy.ModeAllow, patterns...) }
	for name, c := range map[string]struct {
		edit    func(*keys.NewKey)
		headers []string
		want    []string
	}{
		"all":                  {allow("*"), nil, all},
		"none":                 {allow(), nil, nil},
		"by id":                {allow("a1/*"), nil, []string{"a1__ask", "a1__say", "x:o", "x:s", "x:o/{id}", "x:s/{id}"}},
		"by exposed name":      {allow("b2__*"), nil, []string{"b2__ask", "x:b"}},
		"an upstream name":     {allow("ask"), nil, []string{"a1__ask", "b2__ask"}},
		"an exact id":          {allow("a1/ask", "a1/x:o"), nil, []string{"a1__ask", "x:o"}},
		"an exposed uri":       {allow("a1__x:o*"), nil, []string{"x:o", "x:o/{id}"}},
		"a category":           {allow("@search"), nil, []string{"a1__ask", "x:s", "x:s/{id}"}},
		"the others":           {list(policy.ModeDeny, "@search"), nil, []string{"a1__say", "b2__ask", "x:o", "x:b", "x:o/{id}"}},
		"exact names of tools": {allow("whoami", "list_api_keys"), nil, nil},
		"permissions":          {func(n *keys.NewKey) { n.MCPPermissions = keys.Some(policy.Only("mcp:search")) }, nil, []string{"a1__ask", "x:s", "x:s/{id}"}},
		"only what reads":      {func(n *keys.NewKey) { n.MCPReadOnly = keys.Some(true) }, nil, all},
		"a narrowed session":   {allow("*"), []string{"X-MCP-Toolsets", "search"}, []string{"a1__ask", "x:s", "x:s/{id}"}},
		"leaves out":           {allow("*"), []string{"X-MCP-Exclude-Tools", "a1/*"}, []string{"b2__ask", "x:b"}},
		"asks for":             {allow("*"), []string{"X-MCP-Tools", "b2__ask"}, []string{"b2__ask"}},
	} {
		c0 := w.connect(w.key(c.edit), "/mcp", c.headers...)
		got := slices.Concat(c0.listOf("prompts/list", "prompts", "name"), c0.listOf("resources/list", "resources", "uri"),
			c0.listOf("resources/templates/list", "resourceTemplates", "uriTemplate"))
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// TestExplainingKinds: what a list shows and what may be read without being listed
// is explained like a tool, by the name or uri at its instance.
func TestExplainingKinds(t *testing.T) {
	w, _, k := kindsWorld(t)
	for name, want := range map[string]string{
		"a1__a1": "allow", "a1/a1": "allow", "a1__noa1": "allowlist", "b2__b2": "instance.not_allowed", "a1__nope": "tool.unknown",
		"a1__x:a1": "allow", "a1/x:noa1": "allowlist", "a1/x:a1/{id}": "allow", "a1__x:noa1/{id}": "allowlist",
		"a1__x:a1/1": "allow", "a1/x:a1/1": "allow", "a1__x:noa1/1": "allowlist", "b2/x:b2/1": "instance.not_allowed",
		"c3/x:c3/1": "tool.unknown", "nope/x:y": "tool.unknown", "a1__:x": "tool.unknown", "x:a1/1": "tool.unknown",
	} {
		st, err := w.svc.Standing(t.Context(), w.op, keys.Question{Key: k.Key.ID})
		must(t, err)
		offer, err := w.gw.Offer(t.Context(), w.op)
		must(t, err)
		e := wire.ExplanationOf(&st, offer, name)
		got := e.Decision
		if e.Reason != nil {
			got = *e.Reason
		}
		if got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}
