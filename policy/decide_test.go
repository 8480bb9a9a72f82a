package policy_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// Invariant 3: the evaluator, the naive reading and the Cedar export agree on
// the whole set of failing rules.
func TestThreeReadingsAgree(t *testing.T) {
	allowed, denied := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		layers, narrowings := genLayers(t), genNarrowings(t)
		g, s := compile(layers), mustNarrow(t, narrowings...)
		oracle := newCedarOracle(t, layers, narrowings)
		for range 25 {
			tool, now := genAnyTool(t), genTime(t, "now")
			got := failing(g.Decide(s, tool, now))
			if want := (naive{layers, narrowings}).decide(tool, now); !slices.Equal(got, want) {
				t.Fatalf("%+v: decided %v, the naive reading says %v", tool, got, want)
			}
			if want := oracle.decide(t, tool, now); !slices.Equal(got, want) {
				t.Fatalf("%+v: decided %v, Cedar says %v", tool, got, want)
			}
			if len(got) == 0 {
				allowed++
			} else {
				denied++
			}
		}
	})
	t.Logf("%d allowed, %d denied", allowed, denied)
	if allowed < 50 || denied < 50 {
		t.Fatalf("the generators drew %d allowed and %d denied: too few to compare", allowed, denied)
	}
}

// An explanation is the decision, line by line.
func TestExplainAgreesWithDecide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g, s := compile(genLayers(t)), mustNarrow(t, genNarrowings(t)...)
		tool, now := genAnyTool(t), genTime(t, "now")
		d, lines := g.Explain(s, tool, now)
		if d != g.Decide(s, tool, now) {
			t.Fatal("Explain decides otherwise")
		}
		var failed []policy.Rule
		last := policy.RuleNone
		for _, line := range lines {
			if line.Rule <= last || line.Observed == "" {
				t.Fatalf("out of order, or nothing observed: %+v", lines)
			}
			if last = line.Rule; !line.OK {
				failed = append(failed, line.Rule)
			}
		}
		if !slices.Equal(failed, d.Failed()) {
			t.Fatalf("lines say %v, the decision %v", failed, d.Failed())
		}
	})
}

// An explanation has the rules that apply to the tool, and no others.
func TestExplainLines(t *testing.T) {
	for name, c := range map[string]struct {
		tool *policy.Tool
		want int
	}{
		"none":       {nil, 7},
		"whoami":     {&policy.Tool{ID: "bailiwick/whoami", Name: "whoami"}, 7},
		"built-in":   {&policy.Tool{ID: "bailiwick/x", Name: "x"}, 13},
		"a server's": {&policy.Tool{ID: "a/x", Name: "a__x"}, 16},
	} {
		if _, lines := policy.Compile(openSubject()).Explain(nil, c.tool, genNow); len(lines) != c.want {
			t.Errorf("%s: %d lines, want %d: %v", name, len(lines), c.want, lines)
		}
	}
}
