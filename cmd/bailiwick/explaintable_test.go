package main

import (
	"strings"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

func TestSignsNeedUTF8(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		want bool
	}{
		{nil, false},
		{map[string]string{"LANG": "de_DE.UTF-8"}, true},
		{map[string]string{"LANG": "C.utf8"}, true},
		{map[string]string{"LANG": "C"}, false},
		{map[string]string{"LC_ALL": "C", "LANG": "de_DE.UTF-8"}, false},
		{map[string]string{"LC_ALL": "", "LC_CTYPE": "en_US.UTF-8", "LANG": "C"}, true},
	} {
		c1 := &cli{env: func(name string) (string, bool) { value, ok := c.env[name]; return value, ok }}
		if got := c1.inUTF8(); got != c.want {
			t.Errorf("%v: %v", c.env, got)
		}
	}
}

// TestMarks: on a terminal lines begin with a coloured sign, and a name that looks
// like one is none; elsewhere there are words and no escapes.
func TestMarks(t *testing.T) {
	denied := "readonly"
	m := wire.Matrix{Summary: wire.Summary{Allowed: 1, Denied: 1}, Tools: []wire.ToolVerdict{
		{Offered: wire.Offered{Kind: "tool", Name: "a__✗ x"}, Decision: "allow"},
		{Offered: wire.Offered{Kind: "tool", Name: "a__\x1b[31m"}, Decision: "deny", Reason: &denied, Failed: []string{denied}},
	}}
	var plain, painted strings.Builder
	for to, table := range map[*strings.Builder]accessTable{
		&plain: {marks: plainMarks}, &painted: {marks: signMarks, paint: true},
	} {
		table.to, table.out = to, &output{format: "table"}
		if err := table.matrix(m); err != nil {
			t.Fatal(err)
		}
	}
	if got := plain.String(); !strings.Contains(got, "\nok     tool  a__✗ x") || !strings.Contains(got, "\nFAILS  tool  a__\uFFFD[31m") || strings.Contains(got, "\x1b") {
		t.Errorf("%q", got)
	}
	if got := painted.String(); !strings.Contains(got, "\n\x1b[32m✓\x1b[0m  tool  a__✗ x") || !strings.Contains(got, "\n\x1b[31m✗\x1b[0m  tool  a__\uFFFD[31m") ||
		strings.Count(got, "\x1b") != 4 || !strings.Contains(got, "\n1 allowed, 1 denied\n") {
		t.Errorf("%q", got)
	}
}

func TestNearest(t *testing.T) {
	tools := []wire.ToolVerdict{{Offered: wire.Offered{ID: "notes/read_note", Name: "notes__read_note"}}, {Offered: wire.Offered{ID: "bailiwick/whoami", Name: "whoami"}}}
	for name, want := range map[string]string{
		"notes__raed_note": "notes__read_note", "note/read_note": "notes/read_note", "read_note": "notes__read_note",
		"whoam": "whoami", "WHOAMI": "", "x": "", "": "", "ticket__close_all": "",
	} {
		if got := nearest(name, tools); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func TestInstant(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"+24h": "2026-02-01T12:00:00Z", "-90m": "2026-01-31T10:30:00Z", "2030-01-31T12:00:00+01:00": "2030-01-31T12:00:00+01:00",
		"24h": "", "tomorrow": "", "+": "", "2030-01-31": "",
	} {
		got, err := instant(text, now)
		if (err != nil) != (want == "") || got.Value != want {
			t.Errorf("%q: %q, %v", text, got.Value, err)
		}
	}
	if got, err := instant("", now); err != nil || got.Set {
		t.Errorf("none: %+v, %v", got, err)
	}
}
