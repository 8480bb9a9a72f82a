package e2e_test

import (
	"strings"
	"testing"
)

// TestKeysSuggest: of a key that has used one tool of many, `bailiwick keys suggest`
// tells so, on the server as on its store; the command that it prints and --apply
// leave the key that tool, and no other.
func TestKeysSuggest(t *testing.T) {
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
		call := func(tool string) (answer string) {
			t.Helper()
			return string(must(client.ask("tools/call", object{"name": tool, "arguments": object{}}))(t).body)
		}
		if answer := call("notes__list_notes"); !strings.Contains(answer, "titles") {
			t.Fatalf("before: %s", answer)
		}
		suggest, said := "bailiwick keys suggest "+name+" "+where, ""
		eventually(t, "the call counts", func() string {
			if said = run(suggest); strings.HasPrefix(said, "uses 1 of ") {
				return ""
			}
			return said
		})
		if !strings.Contains(said, "\nnotes/list_notes  tool  1 ") || !strings.Contains(said, "\nnote: the key is younger than 30 days") {
			t.Errorf("%s: %s", name, said)
		}
		if name == "store" {
			run(said[strings.LastIndex(strings.TrimSpace(said), "\n")+1:])
		} else if said := run(suggest + " --apply"); !strings.Contains(said, "\ntools ") || !strings.Contains(said, "allow notes/list_notes") {
			t.Errorf("it says of the change %s", said)
		}
		if said := run(suggest); !strings.HasPrefix(said, "uses 1 of 2 tools") || !strings.HasSuffix(said, "There is nothing to change.\n") {
			t.Errorf("%s, afterwards: %s", name, said)
		}
		if answer := call("notes__list_notes"); !strings.Contains(answer, "titles") {
			t.Errorf("%s: the used tool answers %s", name, answer)
		}
		for _, tool := range []string{"notes__delete_note", "notes__read_note"} {
			if answer := call(tool); !strings.Contains(answer, "Unknown tool: "+tool) {
				t.Errorf("%s: %s answers %s", name, tool, answer)
			}
		}
	}
}
