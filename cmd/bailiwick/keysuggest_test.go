package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// A shell reads the words of a command line as they were meant, whatever is in them.
func TestShellWords(t *testing.T) {
	projects := policy.Only("p1", "p2")
	words := suggestedFlags(wire.SuggestedUpdate{MCPProjectIDs: &projects, MCPPermissions: &policy.Limit{},
		MCPToolAllowlist: &[]string{"a/get", "a/x*", "a/it's", `a/"$HOME" ~ #1 !x &; é`, "a/~", "a/a,b"}})
	words = append([]string{"", "two words"}, words...)
	out, err := exec.Command("sh", "-c", `printf '<%s>\n' `+shellWords(words)).CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	if want := "<" + strings.Join(words, ">\n<") + ">\n"; string(out) != want {
		t.Errorf("a shell reads\n%s, want\n%s", out, want)
	}
	for _, w := range []string{"--projects=p1,p2", "--categories=", "--allow=a/a,b"} {
		if !strings.Contains(string(out), "<"+w+">\n") {
			t.Errorf("%s is not among %s", w, out)
		}
	}
}
