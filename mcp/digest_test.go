package mcp_test

import (
	"strings"
	"testing"
)

// TestDigestCovers: a change of what models go by is held, any other is shown
// at once.
func TestDigestCovers(t *testing.T) {
	plain := defined("x", "")
	for name, c := range map[string]struct {
		from, to string
		held     bool
	}{
		"description":              {plain, strings.Replace(plain, "says x", "says y", 1), true},
		"input schema":             {plain, strings.Replace(plain, `{"type":"object"}`, `{"type":"object","properties":{"a":{}}}`, 1), true},
		"output schema":            {plain, defined("x", `,"outputSchema":{"type":"object"}`), true},
		"annotations":              {plain, strings.Replace(plain, `"readOnlyHint":true`, `"readOnlyHint":false`, 1), true},
		"another spelling":         {`{"name":"x","inputSchema":{"type":"object"}}`, `{"name":"x","inputSchema":{"type":"object"},"Description":"says y"}`, true},
		"a word before the word":   {defined("x", `,"outputSchema":{"type":"object","title":"a"}`), defined("x", `,"outputSchema":{"type":"object","title":"b","title":"a"}`), true},
		"title":                    {plain, defined("x", `,"title":"X"`), false},
		"icons":                    {plain, defined("x", `,"icons":[{"src":"https://icons.example/x.png"}]`), false},
		"_meta":                    {plain, defined("x", `,"_meta":{"v":2}`), false},
		"the order within":         {defined("x", `,"outputSchema":{"type":"object","title":"a"}`), defined("x", `,"outputSchema":{"title":"a","type":"object"}`), false},
		"white space between keys": {plain, strings.ReplaceAll(plain, `":`, `" : `), false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			up := newUpstream(t, c.from)
			i := w.mount("a1", up)
			up.setTools(c.to)
			announced := ""
			w.until("the change is known", func() bool { announced = string(w.info(i, "x").Definition); return announced == c.to })
			if got := w.info(i, "x").Quarantined; got != c.held {
				t.Errorf("quarantined: %v, want %v", got, c.held)
			}
			if c.held {
				w.asUnknown(w.key(), "a1__x")
			} else if a := w.connect(w.key(), "/mcp/a1").send(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`); !strings.Contains(a.body, strings.Replace(c.to, `"x"`, `"a1__x"`, 1)) {
				t.Errorf("not shown at once: %s", a.body)
			}
		})
	}
}
