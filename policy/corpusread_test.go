package policy_test

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

type corpusCase struct {
	layers     []policy.Subject // own, and the parent's where there is one
	session    []policy.Narrowing
	refused    []string
	malformed  string
	policyText string
	decisions  []corpusDecision
	said       []saidLine // all but the parent's and the decisions
}

// saidLine keeps what was written: a value does not tell whether it was given
// or is the default.
type saidLine struct{ word, rest string }

type corpusDecision struct {
	line   string
	tool   *policy.Tool
	failed []string
}

func readCase(t fataler, text string) *corpusCase {
	t.Helper()
	c := &corpusCase{layers: []policy.Subject{corpusSubject()}}
	malformed := strings.Contains(text, "\nmalformed ")
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		word, rest, _ := strings.Cut(line, " ")
		at := 0
		if word == "parent" {
			word, rest, _ = strings.Cut(rest, " ")
			if at = 1; len(c.layers) == 1 {
				c.layers = append(c.layers, corpusSubject())
			}
		}
		decision := strings.Contains(line, " -> ")
		if at == 0 && !decision && line != "" {
			c.said = append(c.said, saidLine{word, rest})
		}
		switch {
		case line == "":
		case decision:
			c.decisions = append(c.decisions, readDecision(t, line))
		case word == "malformed":
			c.malformed = rest
		case word == "policy" && malformed:
			c.policyText = rest
		case word == "refused":
			c.refused = strings.Fields(rest)
		case word == "session":
			c.session = append(c.session, readNarrowing(t, rest))
		default:
			readSubject(t, &c.layers[at], word, rest)
		}
	}
	return c
}

// corpusSubject is alive and open but for its policy, which has to be given.
func corpusSubject() policy.Subject {
	return policy.Subject{Enabled: true, TenantMCPEnabled: true, Scope: policy.ScopeFull, Presets: map[string]policy.Preset{}}
}

func readSubject(t fataler, s *policy.Subject, word, rest string) {
	t.Helper()
	switch word {
	case "policy", "open":
		s.Policy = readPolicy(t, word, rest)
	case "key":
		readKey(t, s, strings.Fields(rest))
	case "tenant":
		if rest != "mcp=off" {
			t.Fatalf("tenant %q", rest)
		}
		s.TenantMCPEnabled = false
	case "preset":
		words := strings.Fields(rest)
		s.Presets[words[0]] = policy.Preset{MaxEffect: readEffect(t, words[1]), Permissions: words[2:]}
	default:
		t.Fatalf("unknown line %q %q", word, rest)
	}
}

func readPolicy(t fataler, word, text string) policy.Policy {
	t.Helper()
	p, err := policy.Parse([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	var given map[string]any
	if err := json.Unmarshal([]byte(text), &given); err != nil {
		t.Fatal(err)
	}
	if _, said := given["mcpReadOnly"]; word == "open" && !said {
		p.ReadOnly = false
	}
	if _, said := given["mcpPreset"]; word == "open" && !said {
		p.Preset = policy.PresetFullAccess
	}
	return p
}

func readKey(t fataler, s *policy.Subject, words []string) {
	t.Helper()
	for _, w := range words {
		switch name, value, _ := strings.Cut(w, "="); name {
		case "revoked":
			s.Revoked = true
		case "disabled":
			s.Enabled = false
		case "expires":
			at, err := time.Parse(time.RFC3339Nano, value)
			if err != nil {
				t.Fatal(err)
			}
			s.ExpiresAt = &at
		case "scope":
			s.Scope = policy.Scope(value)
		case "permissions":
			s.Permissions = splitList(value)
		case "project":
			s.ProjectID = value
		default:
			t.Fatalf("key: unknown word %q", w)
		}
	}
}

func readNarrowing(t fataler, rest string) policy.Narrowing {
	t.Helper()
	n := policy.NoNarrowing()
	for _, w := range strings.Fields(rest) {
		name, value, _ := strings.Cut(w, "=")
		list := splitList(value)
		switch name {
		case "instances":
			n.Instances = policy.Only(list...)
		case "categories":
			n.Categories = policy.Only(list...)
		case "toolsets":
			n.Toolsets = policy.Only(list...)
		case "tools":
			n.Tools = policy.Only(list...)
		case "exclude":
			n.Exclude = list
		case "readonly":
			n.ReadOnly = true
		default:
			t.Fatalf("session: unknown word %q", w)
		}
	}
	return n
}

func readDecision(t fataler, line string) corpusDecision {
	t.Helper()
	what, answer, _ := strings.Cut(line, " -> ")
	words := strings.Fields(answer)
	d := corpusDecision{line: line, tool: readTool(t, strings.Fields(what)), failed: words[1:]}
	known := !slices.ContainsFunc(d.failed, func(rule string) bool { return !slices.Contains(ruleOrder, rule) })
	if allow := words[0] == "allow"; !known || !allow && words[0] != "deny" || allow != (len(d.failed) == 0) {
		t.Fatalf("%s: not an answer", line)
	}
	return d
}

func readTool(t fataler, words []string) *policy.Tool {
	t.Helper()
	if words[0] == "none" {
		return nil
	}
	slug, name, _ := strings.Cut(words[0], "/")
	tool := &policy.Tool{
		ID: words[0], Name: slug + "__" + name, Category: "tools", Effect: readEffect(t, words[1]),
		InstanceID: "i-" + slug, ProjectID: "p1", WriteEnabled: true,
	}
	if slug == "bailiwick" {
		tool.Name, tool.InstanceID, tool.ProjectID, tool.WriteEnabled = name, "", "", false
	}
	for _, w := range words[2:] {
		switch name, value, _ := strings.Cut(w, "="); name {
		case "cat":
			tool.Category = value
		case "inst":
			tool.InstanceID = value
		case "proj":
			tool.ProjectID = value
		case "needs":
			tool.Permission = value
		case "nowrite":
			tool.WriteEnabled = false
		case "quarantined":
			tool.Quarantined = true
		default:
			t.Fatalf("tool: unknown word %q", w)
		}
	}
	return tool
}

func readEffect(t fataler, word string) policy.Effect {
	t.Helper()
	if word == "unknown" {
		return 0
	}
	e, err := policy.ParseEffect(word)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func splitList(s string) []string {
	if s == "" {
		return []string{}
	}
	return strings.Split(s, ",")
}
