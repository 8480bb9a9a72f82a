package policy_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

func TestArgumentsFailClosed(t *testing.T) {
	ruled := compile([]policy.Subject{withRules(argument("*", "/a", "*"))})
	for name, d := range map[string]policy.ArgumentDecision{
		"the zero decision":     {},
		"no grant":              (*policy.Grant)(nil).DecideArguments(argumentTool("a/read", ""), []byte(`{"a":"b"}`), nil),
		"an empty grant":        new(policy.Grant).DecideArguments(argumentTool("a/read", ""), []byte(`{"a":"b"}`), nil),
		"no tool":               ruled.DecideArguments(nil, []byte(`{"a":"b"}`), nil),
		"a tool of no instance": ruled.DecideArguments(argumentTool("read", ""), []byte(`{"a":"b"}`), nil),
		"no valid UTF-8":        ruled.DecideArguments(argumentTool("a/read", ""), []byte("{\"a\":\"b\xff\"}"), nil),
		"no valid UTF-8 beside": ruled.DecideArguments(argumentTool("a/read", ""), []byte("{\"a\":\"b\",\"c\":\"\xff\"}"), nil),
		"nothing":               ruled.DecideArguments(argumentTool("a/read", ""), []byte{}, nil),
	} {
		if d.Allowed() {
			t.Errorf("%s is allowed", name)
		}
	}
	limited := openSubject()
	limited.Policy.ProjectIDs = policy.Only("p1")
	if compile([]policy.Subject{limited}).DecideArguments(argumentTool("a/read", "/p"), []byte(`{"p":"p1"}`), nil).Allowed() {
		t.Error("a project is reached without any being known")
	}
}

// What is explained has the pointer and the patterns, and of the arguments nothing.
func TestArgumentsExplained(t *testing.T) {
	child := withRules(argument("*", "/team", "red-*", "blue"))
	child.ProjectID = "p1"
	parent := withRules(argument("a/*", "/n", "1", "2", "3", "4", "5", "6", "7"))
	g := compile([]policy.Subject{child, parent})
	tool := argumentTool("a/read", "/project")
	for name, c := range map[string]struct {
		d    policy.ArgumentDecision
		want string
	}{
		"not judged": {g.DemandsOfArguments(tool), `true needs /team to match one of: "red-*", "blue"; ` +
			`needs /project to name a project that the key is limited to; ancestor 1: needs /n to match one of: "1", "2", "3", "4", "5", and 2 more`},
		"met": {g.DecideArguments(tool, []byte(`{"team":"blue","project":"red","n":"1"}`), corpusProjects()), `true the arguments are as needed: ` +
			`needs /team to match one of: "red-*", "blue"; ` +
			`needs /project to name a project that the key is limited to; ancestor 1: needs /n to match one of: "1", "2", "3", "4", "5", and 2 more`},
		"not met": {g.DecideArguments(tool, []byte(`{"team":"secret","project":"secret","N":"secret"}`), corpusProjects()),
			`false needs /team to match one of: "red-*", "blue" (it is another value); ` +
				`needs /project to name a project that the key is limited to (it names no project that the key is limited to); ` +
				`ancestor 1: needs /n to match one of: "1", "2", "3", "4", "5", and 2 more (it is there in another spelling)`},
		"nothing allowed": {compile([]policy.Subject{withRules(argument("*", "/a"))}).DemandsOfArguments(tool),
			`true needs /a to match one of no patterns: nothing does`},
	} {
		lines := c.d.Explain()
		if len(lines) != 1 {
			t.Fatalf("%s: %+v", name, lines)
		}
		got := map[bool]string{true: "true ", false: "false "}[lines[0].OK] + lines[0].Observed
		if got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
	}
	if lines := g.DemandsOfArguments(argumentTool("bailiwick/whoami", "")).Explain(); lines != nil {
		t.Errorf("whoami: %+v", lines)
	}
}

// Every rule narrows, and so does every layer.
func TestArgumentRulesOnlyNarrow(t *testing.T) {
	tools := []string{"a/read", "a/drop", "b/read", "bailiwick/whoami", "bailiwick/list_api_keys"}
	documents := []string{"", `{}`, `{"a":"x"}`, `{"a":"y","b":"x"}`, `{"a":{"b":"x"},"b":"xy"}`, `{"a":"x","A":"x"}`, `{"a":"x","b":"red"}`, `[]`}
	rapid.Check(t, func(t *rapid.T) {
		rule := func(label string) policy.ArgumentRule {
			return policy.ArgumentRule{Tool: pickOne(t, label+" tool", []string{"*", "a/*", "read", "@tools", "[", "bailiwick/*"}),
				Pointer: pickOne(t, label+" pointer", []string{"/a", "/a/b", "/b", "broken"}), Allow: genList(t, label, []string{"x", "x*", "*", "red", ""})}
		}
		subject := func(label string) policy.Subject {
			s := openSubject()
			for range rapid.IntRange(0, 2).Draw(t, label+" rules") {
				s.Policy.ArgumentRules = append(s.Policy.ArgumentRules, rule(label))
			}
			if seldom(t, label+" limited", 3) {
				s.Policy.ProjectIDs = policy.Only(genList(t, label, []string{"p1", "p2"})...)
			}
			return s
		}
		own, parent := subject("own"), subject("parent")
		tool := argumentTool(pickOne(t, "tool", tools), pickOne(t, "project pointer", []string{"", "/a", "/b"}))
		raw := []byte(pickOne(t, "arguments", documents))
		if len(raw) == 0 {
			raw = nil
		}
		allowed := func(layers ...policy.Subject) bool {
			return compile(layers).DecideArguments(tool, raw, corpusProjects()).Allowed()
		}
		before := allowed(own)
		if both := allowed(own, parent); both != (before && allowed(parent)) {
			t.Fatalf("%s %s: both layers say %v, the key %v", tool.ID, raw, both, before)
		}
		own.Policy.ArgumentRules = append(append([]policy.ArgumentRule{}, own.Policy.ArgumentRules...), rule("added"))
		if allowed(own) && !before {
			t.Fatalf("%s %s: another rule allows it", tool.ID, raw)
		}
	})
}

// FuzzArguments holds what is found at a pointer against encoding/json, where a
// text can be read in one way only.
func FuzzArguments(f *testing.F) {
	f.Fuzz(func(t *testing.T, text []byte, pointer, value string) {
		if !utf8.ValidString(value) { // no pattern that could be written
			return
		}
		rule := withRules(func(p *policy.Policy) {
			p.ArgumentRules = []policy.ArgumentRule{{Tool: "*", Pointer: pointer, Allow: []string{value}}}
		})
		got := compile([]policy.Subject{rule}).DecideArguments(argumentTool("a/read", ""), text, nil).Allowed()
		found, ok := naivePointer(text, pointer)
		matches := ok && policy.PointerProblem(pointer) == "" && naiveGlob(value, found)
		switch plain := readInOneWay(text); {
		case got && !matches:
			t.Fatalf("%q of %q matches %q: encoding/json finds %q, %v", pointer, text, value, found, ok)
		case plain && !got && matches:
			t.Fatalf("%q of %q does not match %q: encoding/json finds %q", pointer, text, value, found)
		}
	})
}

// naivePointer finds a string by decoding all of it.
func naivePointer(text []byte, pointer string) (string, bool) {
	var v any
	if json.Unmarshal(text, &v) != nil || !strings.HasPrefix(pointer, "/") {
		return "", false
	}
	if _, object := v.(map[string]any); !object {
		return "", false
	}
	for _, token := range strings.Split(pointer, "/")[1:] {
		token = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
		switch at := v.(type) {
		case map[string]any:
			v = at[token]
		case []any:
			var i int
			if json.Unmarshal([]byte(token), &i) != nil || i < 0 || i >= len(at) || token == "-0" {
				return "", false
			}
			v = at[i]
		default:
			return "", false
		}
	}
	s, ok := v.(string)
	return s, ok
}

// readInOneWay tells whether no two names of any object are alike but for case,
// and every text in it is valid.
func readInOneWay(text []byte) bool {
	if !utf8.Valid(text) || bytes.Contains(bytes.ToLower(text), []byte(`\ud`)) {
		return false
	}
	type level struct {
		names  map[string]bool
		object bool
		key    bool
	}
	dec, levels := json.NewDecoder(bytes.NewReader(text)), []level{}
	dec.UseNumber()
	for {
		token, err := dec.Token()
		if err != nil {
			return true
		}
		if d, ok := token.(json.Delim); ok && (d == '}' || d == ']') {
			levels = levels[:len(levels)-1]
			continue
		}
		if n := len(levels); n > 0 && levels[n-1].object {
			top := &levels[n-1]
			if top.key = !top.key; top.key {
				for other := range top.names {
					if strings.EqualFold(other, token.(string)) {
						return false
					}
				}
				top.names[token.(string)] = true
				continue
			}
		}
		if d, ok := token.(json.Delim); ok {
			levels = append(levels, level{names: map[string]bool{}, object: d == '{'})
		}
	}
}

func TestNoRulesOfArgumentsCostNothing(t *testing.T) {
	g, tool, raw := compile([]policy.Subject{openSubject()}), argumentTool("a/read", "/project"), []byte(`{"project":"x"}`)
	if n := testing.AllocsPerRun(100, func() { g.DecideArguments(tool, raw, nil) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
