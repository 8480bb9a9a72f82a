package upstream_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	mcpserver "github.com/mark3labs/mcp-go/server"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
)

// rounds mounts a server with these pages of tools/list; the next round is
// served (and announced) after each call.
func rounds(t *testing.T, rounds ...[]string) *mounted {
	t.Helper()
	b, err := json.Marshal(rounds)
	if err != nil {
		t.Fatal(err)
	}
	return run(t, stdio(t, "lists", "ROUNDS", string(b))).ready()
}

func page(next string, tools ...string) string {
	s := `{"tools":[` + strings.Join(tools, ",") + `]`
	if next != "" {
		s += `,"nextCursor":"` + next + `"`
	}
	return s + `}`
}

func named(name string) string { return `{"name":"` + name + `",` + plainSchema + `}` }

// nested is a definition that nests so deep.
func nested(name string, levels int) string {
	return `{"name":"` + name + `","x":` + strings.Repeat("[", levels-1) + strings.Repeat("]", levels-1) + `,` + plainSchema + `}`
}

func TestDefinitionsAreKeptAsReceived(t *testing.T) {
	odd := `{ "name":"odd", "inputSchema":` + oddSchema + `,"icons":[{"src":"x"}], "x":9007199254740993,"execution":{"taskSupport":"optional"}, "y":1.50}`
	m := rounds(t, []string{page("", odd)})
	if got := m.raw("odd"); got != odd {
		t.Errorf("got  %s\nwant %s", got, odd)
	}
	for _, tt := range genuineUpstreams {
		t.Run(tt.name, func(t *testing.T) {
			def := run(t, tt.config(t)).ready().raw("echo")
			if !strings.Contains(def, `"patternProperties":{"^x-":{"type":"integer","maximum":9007199254740993}}`) ||
				!strings.Contains(def, `"anyOf"`) || !strings.Contains(def, `"$schema"`) {
				t.Errorf("definition %s", def)
			}
		})
	}
}

func TestBadToolsAreLeftOut(t *testing.T) {
	long := strings.Repeat("a", 129)
	tests := []struct{ definition, skipped string }{
		{named("good"), ""},
		{named("Also.good-1_2/x"), ""},
		{named(long[:128]), ""},
		{named(long), long[:128] + "…: its name is not"},
		{named("white space"), "white space: its name is not"},
		{named("é"), "é: its name is not"},
		{named(""), "(no name): its name is not"},
		{`{` + plainSchema + `}`, "(no name): its name is not"},
		{`{"name":7,` + plainSchema + `}`, "(no name): its name has the wrong type"},
		{named("good"), "good: there is another tool of this name"},
		{`{"name":"a1","name":"a2",` + plainSchema + `}`, `a2: it has the member "name" twice`},
		{`{"name":"b1","NAME":"b2",` + plainSchema + `}`, `b1: it has the member "NAME" twice`},
		{`{"name":"c"}`, "c: it has no inputSchema"},
		{`{"name":"d","inputSchema":[]}`, "d: its inputSchema has the wrong type"},
		{`{"name":"e","inputSchema":null}`, "e: its inputSchema has the wrong type"},
		{`{"name":"f","inputSchema":{}}`, `f: the type of its inputSchema is not "object"`},
		{`{"name":"g","inputSchema":{"type":"string"}}`, `g: the type of its inputSchema is not "object"`},
		{`{"name":"h","inputSchema":{"type":["object"]}}`, `h: the type of its inputSchema is not "object"`},
		{`{"name":"i","inputSchema":{"type":"string","type":"object"}}`, `i: the type of its inputSchema is not "object"`},
		{`{"name":"j","description":7,` + plainSchema + `}`, "j: its description has the wrong type"},
		{`{"name":"k","annotations":[],` + plainSchema + `}`, "k: its annotations has the wrong type"},
		{`{"name":"l","inputSchema":{"type":"object","properties":{"p":{"type":"string","x-mcp-header":"bad header"}}}}`, `l: property "p": x-mcp-header`},
		{`{"name":"m","inputSchema":{"type":"object","properties":{"p":{"type":"object","x-mcp-header":"P"}}}}`, `m: property "p": x-mcp-header`},
		{`{"name":"n","description":"` + strings.Repeat("x", 1<<20) + `",` + plainSchema + `}`, "n: its definition is larger than 1 MiB"},
		{`7`, "(no name): it is not an object"},
		{`null`, "(no name): it is not an object"},
		{nested("o", 129), "o: it nests deeper than 128 levels"},
		{nested("last", 128), ""},
	}
	var definitions, want []string
	for _, tt := range tests {
		definitions = append(definitions, tt.definition)
		if tt.skipped != "" {
			want = append(want, tt.skipped)
		}
	}
	m := serveList(t, page("", definitions...))
	if got := m.tools(); !slices.Equal(got, []string{"good", "Also.good-1_2/x", long[:128], "last"}) {
		t.Errorf("tools %q", got)
	}
	skipped := m.Status().Skipped
	if len(skipped) != len(want) {
		t.Fatalf("skipped %q", skipped)
	}
	for i := range want {
		if !strings.HasPrefix(skipped[i], want[i]) {
			t.Errorf("skipped %q, want %q…", skipped[i], want[i])
		}
	}
}

func TestPages(t *testing.T) {
	m := rounds(t, []string{page("page1", named("a")), page("page2"), page("", named("b"), named("c"))})
	if got := m.tools(); !slices.Equal(got, []string{"a", "b", "c"}) || m.Status().Skipped != nil {
		t.Errorf("tools %q, %+v", got, m.Status())
	}
}

func TestListWithoutEnd(t *testing.T) {
	t.Run("cursor repeats", func(t *testing.T) {
		m := rounds(t, []string{page("page1", named("a")), page("page1", named("b"))})
		if got := m.tools(); !slices.Equal(got, []string{"a", "b"}) || !slices.Equal(m.Status().Skipped, []string{"(rest of the list): the cursor repeats"}) {
			t.Errorf("tools %q, %+v", got, m.Status())
		}
	})
	t.Run("tools", func(t *testing.T) {
		var many []string
		for i := range 10_200 {
			many = append(many, named(fmt.Sprint("t", i)))
		}
		m := serveList(t, page("", many...))
		st := m.Status()
		if len(m.tools()) != 10_000 || len(st.Skipped) != 101 || st.Skipped[0] != "t10000: more than 10000 tools" || st.Skipped[100] != "(100 more)" {
			t.Errorf("%d tools, %d skipped: %.200q", len(m.tools()), len(st.Skipped), st.Skipped)
		}
	})
	t.Run("size", func(t *testing.T) {
		var big []string
		for i := range 40 {
			big = append(big, fmt.Sprintf(`{"name":"t%d","description":"%s",%s}`, i, strings.Repeat("x", 1<<19), plainSchema))
		}
		// Two pages, for one message has no room for more than the list may hold.
		m := serveList(t, page("page1", big[:20]...), page("", big[20:]...))
		if n := len(m.tools()); n != 31 || !strings.HasSuffix(m.Status().Skipped[0], "larger than 16 MiB") {
			t.Errorf("%d tools, skipped %.200q", n, m.Status().Skipped)
		}
	})
}

// A list that cannot be read leaves the old one in place, and is tried again.
func TestListChanged(t *testing.T) {
	m := rounds(t, []string{page("", named("a"))}, []string{page("", named("a"), named("b"))}, []string{`{"tools":7,"once":true}`}, []string{page("")})
	for i, want := range [][]string{{"a"}, {"a", "b"}} {
		m.until(fmt.Sprint("list ", i), func() bool { return len(m.lists) == i+1 })
		if got := m.tools(); !slices.Equal(got, want) {
			t.Fatalf("list %d: %q, want %q", i, got, want)
		}
		m.call("a", `{}`)
	}
	m.until("the empty list", func() bool { return len(m.lists) == 3 && m.last().Problem == "" })
	n := slices.IndexFunc(m.states, func(st upstream.Status) bool { return strings.Contains(st.Problem, "no array of tools") })
	if n < 0 || m.states[n].State != upstream.StateReady {
		t.Errorf("states %+v", m.states)
	}
	if got := m.tools(); len(got) != 0 {
		t.Errorf("tools %q", got)
	}
}

func TestListChangedEveryTransport(t *testing.T) {
	for _, tt := range genuineUpstreams {
		if tt.name == "http stateless legacy" {
			continue // it has no stream to say so on
		}
		t.Run(tt.name, func(t *testing.T) {
			m := run(t, tt.config(t)).ready()
			grown := func() bool {
				m.mu.Lock()
				defer m.mu.Unlock()
				return slices.ContainsFunc(m.lists[len(m.lists)-1].Tools, func(tool upstream.Item) bool { return tool.Name == "grown" })
			}
			// mcp-go v1.2.1 may tell of the change on the stream of the call that
			// made it, and lose it where that ends at once; so it is made again.
			late := time.After(patience)
			for again := time.NewTicker(time.Second); !grown(); {
				m.call("grow", `{}`)
				m.mu.Lock()
				wake := m.wake
				m.mu.Unlock()
				select {
				case <-wake:
				case <-again.C:
				case <-late:
					t.Fatalf("the new tool did not happen; status %+v", m.Status())
				}
			}
		})
	}
}

func TestServerWithoutTools(t *testing.T) {
	bare := mcpserver.NewMCPServer("bare", "0")
	m := run(t, remote(keys.TransportHTTP, serveHTTP(t, bare))).ready()
	if got := m.tools(); len(got) != 0 {
		t.Errorf("tools %q", got)
	}
}
