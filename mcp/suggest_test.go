package mcp_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// TestSuggestedPolicyKeepsTheUse: the policy that is suggested of what a key has used
// lets all of it through again, of every kind of thing, and little else; by what
// is on offer now, and by what a process finds in the store that mounts nothing.
func TestSuggestedPolicyKeepsTheUse(t *testing.T) {
	w := newWorld(t)
	w.mount("a1", newUpstream(t, tool("get", "r"), tool("drop", "d")).with(others{
		prompts:   []string{prompt("sum"), prompt("spare")},
		resources: []string{resource("x:one"), resource("x:q?y=1"), resource("x:spare")},
		templates: []string{template("x:n/{id}"), template("x:t/{id}")},
	}))
	w.mount("b2", newUpstream(t, tool("get", "r")))
	uses := []struct{ method, params string }{
		{"tools/call", `"name":"a1__get","arguments":{}`},
		{"prompts/get", `"name":"a1__sum"`},
		{"resources/read", `"uri":"x:one"`},
		{"resources/read", `"uri":"x:q?y=1"`},
		{"resources/read", `"uri":"x:n/7"`},
		{"resources/read", `"uri":"x:n/a%20b"`},
		{"resources/read", `"uri":"x:free%20one"`},
		{"completion/complete", `"ref":{"type":"ref/resource","uri":"x:t/{id}"},"argument":{"name":"id","value":""}`},
	}
	others := []struct{ method, params string }{
		{"tools/call", `"name":"a1__drop","arguments":{}`}, {"tools/call", `"name":"b2__get","arguments":{}`},
		{"prompts/get", `"name":"a1__spare"`}, {"resources/read", `"uri":"x:spare"`}, {"resources/read", `"uri":"x:free%20two"`},
	}
	k := w.key(func(n *keys.NewKey) {
		n.MCPReadOnly, n.MCPPreset = keys.Some(false), keys.Some(policy.PresetFullAccess)
	})
	all := func(when string, list []struct{ method, params string }, passes bool) {
		t.Helper()
		for _, use := range list {
			if a := w.modern(k, "/mcp", use.method, use.params); strings.Contains(a.body, `"error"`) == passes {
				t.Errorf("%s: %s %s: %s", when, use.method, use.params, a.body)
			}
		}
	}
	w.until("the upstreams are there", func() bool {
		return strings.Contains(w.modern(k, "/mcp", "tools/list", "").body, "b2__get") && strings.Contains(w.modern(k, "/mcp", "prompts/list", "").body, "a1__sum")
	})
	all("before", uses, true)
	now, err := w.gw.Offer(t.Context(), w.op)
	must(t, err)
	stored, err := w.gw.StoredOffer(t.Context(), w.op)
	must(t, err)
	var got keys.Suggestion
	w.until("all is recorded", func() bool {
		got, err = w.svc.Suggest(t.Context(), w.op, k.Key.ID, now, 1)
		must(t, err)
		return len(got.Used) == 7 // both uris of the template are its use
	})
	if offline, err := w.svc.Suggest(t.Context(), w.op, k.Key.ID, stored, 1); err != nil || !slices.Equal(offline.Used, got.Used) ||
		!slices.Equal(offline.Update.MCPToolAllowlist.Value, got.Update.MCPToolAllowlist.Value) || offline.Allowed != got.Allowed {
		t.Errorf("of what is stored: %+v, %v, want %+v", offline, err, got)
	}
	want := []string{"a1/get", "a1/sum", "a1/x:free one", "a1/x:free%20one", "a1/x:n/*", "a1/x:one", "a1/x:q*y=1", "a1/x:t/*"}
	if list := got.Update.MCPToolAllowlist.Value; !slices.Equal(list, want) {
		t.Errorf("the list is %q, want %q", list, want)
	}
	_, err = w.svc.UpdateKey(t.Context(), w.op, k.Key.ID, keys.KeyPatch{PolicyPatch: got.Update, IfVersion: got.Key.Version})
	must(t, err)
	all("afterwards", uses, true)
	all("not used", others, false)
}
