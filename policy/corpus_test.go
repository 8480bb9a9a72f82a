package policy_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// TestCorpus puts each decision of testdata/policy to the evaluator and to both
// oracles; README.md there says how to read it.
func TestCorpus(t *testing.T) {
	decisions, broken := 0, 0
	for topic, file := range corpusFiles(t) {
		for _, section := range file.Files {
			t.Run(topic+"/"+section.Name, func(t *testing.T) {
				c := readCase(t, string(section.Data))
				decisions += len(c.decisions)
				if c.malformed != "" {
					broken++
					c.checkMalformed(t)
					return
				}
				if len(c.decisions) == 0 {
					t.Error("decides nothing")
				}
				c.checkValidity(t)
				c.checkDecisions(t)
			})
		}
	}
	t.Logf("%d decisions, %d malformed policies", decisions, broken)
	if decisions < 500 || broken < 25 {
		t.Errorf("%d decisions and %d malformed policies: some of the corpus is not there", decisions, broken)
	}
}

func corpusFiles(t *testing.T) map[string]*txtar.Archive {
	t.Helper()
	paths, err := filepath.Glob("../testdata/policy/*.txtar")
	if err != nil || len(paths) < 10 {
		t.Fatalf("found %d files (%v)", len(paths), err)
	}
	files := map[string]*txtar.Archive{}
	for _, path := range paths {
		file, err := txtar.ParseFile(path)
		if err != nil || len(file.Files) == 0 {
			t.Fatalf("%s has %d sections (%v)", path, len(file.Files), err)
		}
		files[strings.TrimSuffix(filepath.Base(path), ".txtar")] = file
	}
	return files
}

func (c *corpusCase) checkMalformed(t *testing.T) {
	_, err := policy.Parse([]byte(c.policyText))
	var bad *policy.SyntaxError
	if !errors.As(err, &bad) {
		t.Fatalf("%s: parsed, or another error: %v", c.policyText, err)
	}
	if got := "/" + strings.TrimPrefix(bad.Pointer, "/"); got != c.malformed || bad.Problem == "" {
		t.Errorf("refused at %s (%s), want %s", got, bad.Problem, c.malformed)
	}
}

func (c *corpusCase) checkValidity(t *testing.T) {
	var fields []string
	for _, p := range c.layers[0].Policy.Validate(c.layers[0].Presets) {
		fields = append(fields, p.Field)
	}
	if !slices.Equal(fields, c.refused) {
		t.Errorf("refused for %v, want %v", fields, c.refused)
	}
}

func (c *corpusCase) checkDecisions(t *testing.T) {
	g, s := compile(c.layers), mustNarrow(t, c.session...)
	oracle := newCedarOracle(t, c.layers, c.session)
	for _, d := range c.decisions {
		for reader, got := range map[string][]string{
			"Decide": failing(g.Decide(s, d.tool, genNow)),
			"naive":  naive{c.layers, c.session}.decide(d.tool, genNow),
			"Cedar":  oracle.decide(t, d.tool, genNow),
		} {
			if !slices.Equal(got, d.failed) {
				t.Errorf("%s\n%6s says %v", d.line, reader, got)
			}
		}
	}
}
