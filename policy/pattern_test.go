package policy_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

func TestParsePattern(t *testing.T) {
	long := strings.Repeat("é", policy.MaxPatternLength)
	for text, ok := range map[string]bool{
		"*": true, "drop_all": true, "a1__drop_all": true, "a/b": true, "/": true, "a b": true, "a,b": true, "@web": true,
		"a@b": true, "é": true, long: true, `"`: true, "x.y-z:1": true,
		"": false, long + "x": false, "a?": false, "[a": false, "a]": false, "{a": false, "a}": false, `a\b`: false,
		"a\tb": false, "a\x00": false, "a\u0085": false, "\xff": false,
		"@": false, "@x/y": false, "@Web": false, "@*": false, "@we*": false, "@" + strings.Repeat("a", 33): false,
	} {
		p, err := policy.ParsePattern(text)
		var bad *policy.PatternError
		switch {
		case ok && (err != nil || p.String() != text):
			t.Errorf("%q: %v", text, err)
		case !ok && (!errors.As(err, &bad) || bad.Pattern != text || bad.Problem == ""):
			t.Errorf("%q: accepted, or another error: %v", text, err)
		}
	}
	var zero policy.Pattern
	tool := policy.Tool{ID: "a/", Name: ""}
	if zero.Match(&tool) || zero.MatchText("") || zero.Exact() {
		t.Error("the zero pattern matches")
	}
	star := mustPattern(t, "*")
	if star.Match(nil) || star.Match(&tool) || star.Exact() || !mustPattern(t, "drop").Exact() {
		t.Error("* matches no tool, or is exact")
	}
}

// Exact names and patterns of a long list are all found, at each length around
// the sizes at which they are looked up otherwise.
func TestLongLists(t *testing.T) {
	for _, n := range []int{1, 2, 31, 32, 33, 64, 255, 256, 257} {
		var patterns, ids []string
		for i := range n {
			patterns, ids = append(patterns, fmt.Sprintf("name_%d", i)), append(ids, fmt.Sprintf("id-%d", (i*7919)%n))
		}
		s := openSubject()
		s.Policy.AllowlistMode, s.Policy.ToolAllowlist = policy.ModeAllow, patterns
		s.Policy.InstanceIDs, s.Policy.ProjectIDs = policy.Only(ids...), policy.Only(ids...)
		g := policy.Compile(s)
		for i := range n + 1 {
			tool := policy.Tool{
				ID: fmt.Sprintf("a/name_%d", i), Category: "tools", Effect: policy.EffectRead,
				InstanceID: fmt.Sprintf("id-%d", i), ProjectID: fmt.Sprintf("id-%d", i),
			}
			if got, want := g.Decide(nil, &tool, genNow).Allowed(), i < n && n <= policy.MaxPatterns; got != want {
				t.Errorf("%d patterns: %s allowed is %t", n, tool.ID, got)
			}
		}
		problems := len(s.Policy.Validate(nil))
		if want := n > policy.MaxPatterns; (problems > 0) != want {
			t.Errorf("%d patterns: %d problems", n, problems)
		}
	}
}

func TestRepeatedPatternsCountOnce(t *testing.T) {
	s := openSubject()
	s.Policy.AllowlistMode = policy.ModeAllow
	for range 300 {
		s.Policy.ToolAllowlist = append(s.Policy.ToolAllowlist, "read")
	}
	tool := policy.Tool{ID: "a/read", Name: "a__read", Category: "tools", Effect: policy.EffectRead}
	if d := policy.Compile(s).Decide(nil, &tool, genNow); !d.Allowed() || len(s.Policy.Validate(nil)) > 0 {
		t.Errorf("denied for %v, problems %v", d.Failed(), s.Policy.Validate(nil))
	}
}

func TestNarrowRefusesBadPatterns(t *testing.T) {
	many := make([]string, policy.MaxPatterns+1)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	for name, edit := range map[string]func(*policy.Narrowing){
		"tools":         func(n *policy.Narrowing) { n.Tools = policy.Only("good", "ba[d") },
		"excluded":      func(n *policy.Narrowing) { n.Exclude = []string{"@"} },
		"too many":      func(n *policy.Narrowing) { n.Tools = policy.Only(many...) },
		"too many left": func(n *policy.Narrowing) { n.Exclude = many },
	} {
		n := policy.NoNarrowing()
		edit(&n)
		s, err := policy.Narrow(policy.NoNarrowing(), n)
		var bad *policy.PatternError
		if !errors.As(err, &bad) || s != nil {
			t.Errorf("%s: %v, %v", name, s, err)
		}
	}
	if s, err := policy.Narrow(policy.NoNarrowing(), policy.NoNarrowing()); s != nil || err != nil {
		t.Errorf("nothing given up: %v, %v", s, err)
	}
	s := mustNarrow(t, policy.Narrowing{})
	whoami := policy.Tool{ID: "bailiwick/whoami", Name: "whoami", Category: "platform", Effect: policy.EffectRead}
	if d := policy.Compile(openSubject()).Decide(s, &whoami, genNow); d.Reason() != policy.RuleNarrowed {
		t.Errorf("the zero narrowing leaves something: %v", d.Failed())
	}
}

func mustPattern(t fataler, text string) policy.Pattern {
	t.Helper()
	p, err := policy.ParsePattern(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
