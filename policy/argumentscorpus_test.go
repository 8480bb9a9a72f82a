package policy_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// corpusProjects are those of testdata/arguments; README.md there says so.
func corpusProjects() policy.Projects {
	p := policy.Projects{}
	p.Add("p1", "red")
	p.Add("p2", "blue")
	p.Add("p3", "p1")
	return p
}

// TestArgumentsCorpus puts each call of testdata/arguments to the evaluator.
func TestArgumentsCorpus(t *testing.T) {
	paths, err := filepath.Glob("../testdata/arguments/*.txtar")
	if err != nil || len(paths) != 3 {
		t.Fatalf("found %d files (%v)", len(paths), err)
	}
	calls := 0
	for _, path := range paths {
		file, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, section := range file.Files {
			name := strings.TrimSuffix(filepath.Base(path), ".txtar") + "/" + section.Name
			t.Run(name, func(t *testing.T) { calls += checkArguments(t, string(section.Data)) })
		}
	}
	if calls < 150 {
		t.Errorf("%d calls: some of the corpus is not there", calls)
	}
}

func checkArguments(t *testing.T, section string) (calls int) {
	layers := []policy.Subject{openSubject()}
	tool := argumentTool("a/read", "")
	for line := range strings.Lines(section) {
		line = strings.TrimSpace(line)
		if before, answer, call := strings.Cut(line, " -> "); call {
			calls++
			checkCall(t, compile(layers), tool, before, answer)
			continue
		}
		words, at := strings.Fields(line), 0
		if words[0] == "parent" {
			if words, at = words[1:], 1; len(layers) == 1 {
				layers = append(layers, openSubject())
			}
		}
		s := &layers[at]
		switch words[0] {
		case "rule":
			argument(words[1], words[2], words[3:]...)(&s.Policy)
		case "projects":
			s.Policy.ProjectIDs = policy.Only(words[1:]...)
		case "confined":
			s.ProjectID = words[1]
		case "tool":
			tool = argumentTool(words[1], strings.Join(words[2:], " "))
		default:
			t.Fatalf("unknown line %q", line)
		}
	}
	if calls == 0 {
		t.Error("calls nothing")
	}
	return calls
}

func argumentTool(id, pointer string) *policy.Tool {
	slug, name, _ := strings.Cut(id, "/")
	return &policy.Tool{ID: id, Name: slug + "__" + name, Category: "tools", Effect: policy.EffectRead, ProjectPointer: pointer}
}

func checkCall(t *testing.T, g *policy.Grant, tool *policy.Tool, arguments, answer string) {
	t.Helper()
	raw := []byte(arguments)
	if arguments == "absent" {
		raw = nil
	}
	verdict, list, _ := strings.Cut(answer, " ")
	want := strings.Fields(list)
	if verdict != "allow" && verdict != "deny" || (verdict == "allow") != (len(want) == 0) {
		t.Fatalf("%s: not an answer", answer)
	}
	d := g.DecideArguments(tool, raw, corpusProjects())
	if got := d.Pointers(); !slices.Equal(got, want) || d.Allowed() != (len(want) == 0) {
		t.Errorf("%s: allowed %v, denied for %v, want %s (%+v)", arguments, d.Allowed(), got, answer, d.Explain())
	}
	if lines := d.Explain(); len(lines) > 1 || len(lines) == 1 && (lines[0].Rule != policy.RuleArgument || lines[0].OK != d.Allowed()) {
		t.Errorf("%s: explained as %+v", arguments, lines)
	}
}
