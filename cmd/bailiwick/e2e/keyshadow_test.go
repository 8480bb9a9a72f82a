package e2e_test

import (
	"strings"
	"testing"
)

// TestKeysShadow: a draft on the command line changes no call; `keys shadow` tells
// which it would have denied, on the server as on its store, and --apply denies it.
func TestKeysShadow(t *testing.T) {
	t.Parallel()
	s := serve(t)
	m := &mounted{server: s, projects: map[string]string{}, instances: map[string]string{}}
	m.project(t, "alpha")
	m.stdio(t, "alpha", "notes", notesBin)
	m.settle(t, "notes__list_notes")
	run := s.shell(t)
	for name, where := range map[string]string{"store": "--data '" + s.data + "'", "server": "--url " + s.url} {
		_, token := s.rest().key(t, with(fullAccess(), object{"name": name}))
		client := modern{s.url + "/mcp", token}
		call := func() string {
			t.Helper()
			return string(must(client.ask("tools/call", object{"name": "notes__list_notes", "arguments": object{}}))(t).body)
		}
		run("bailiwick keys update " + name + " " + where + ` --shadow '{"mcpAllowlistMode": "allow", "mcpToolAllowlist": ["read_*"]}'`)
		if answer := call(); !strings.Contains(answer, "titles") {
			t.Fatalf("%s: with a draft: %s", name, answer)
		}
		said := ""
		eventually(t, "the call is told of", func() string {
			if said = run("bailiwick keys shadow " + name + " " + where); strings.Contains(said, "\nwould be denied: 1\n") {
				return ""
			}
			return said
		})
		if !strings.Contains(said, "\n"+name+": 1 recorded calls since ") || !strings.Contains(said, "\n- notes/list_notes  tool  1, last ") || !strings.Contains(said, "  allowlist  event ") {
			t.Errorf("%s: %s", name, said)
		}
		if said := run("bailiwick keys shadow " + name + " " + where + " --apply"); !strings.Contains(said, "allow read_*") {
			t.Errorf("%s: it says of the change %s", name, said)
		}
		if answer := call(); !strings.Contains(answer, "Unknown tool: notes__list_notes") {
			t.Errorf("%s: with the draft applied: %s", name, answer)
		}
		if said := run("bailiwick keys shadow " + name + " " + where + " -o json"); !strings.Contains(said, `"draft": null`) {
			t.Errorf("%s: afterwards: %s", name, said)
		}
	}
}
