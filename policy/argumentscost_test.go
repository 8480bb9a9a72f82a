package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// largeCall is as many bytes as a message may have.
const largeCall = 4 << 20

// manyPatterns is a subject with as many rules and patterns as a key can have, all of
// the tools, and each with an argument of its own or all with the same.
func manyPatterns(pointer func(rule int) string, pattern func(n int) string) policy.Subject {
	s := openSubject()
	for rule := range policy.MaxArgumentRules {
		allow := make([]string, policy.MaxPatterns)
		for n := range allow {
			allow[n] = pattern(n)
		}
		s.Policy.ArgumentRules = append(s.Policy.ArgumentRules, policy.ArgumentRule{Tool: "*", Pointer: pointer(rule), Allow: allow})
	}
	return s
}

// TestLargeArguments: the work of one call is bounded, however large its
// strings are and however many patterns they are held against. What is too long for
// that is denied, unless everything is allowed.
func TestLargeArguments(t *testing.T) {
	same := func(int) string { return "/x" }
	slow := func(n int) string { return fmt.Sprintf("*aaaaaaaab%d*", n) }
	all := func(n int) string { return []string{slow(n), "*"}[n/(policy.MaxPatterns-1)] }
	twice := func(int) string { return "**" }
	none := func(int) string { return "" }
	starts := func(n int) string { return []string{slow(n), "a*"}[n/(policy.MaxPatterns-1)] }
	for name, c := range map[string]struct {
		pattern func(n int) string
		size    int
		allowed bool
		said    string
	}{
		"too long":              {slow, largeCall - 100, false, "more than 8192 bytes"},
		"too long, but for all": {all, largeCall - 100, true, ""},
		"for all, said twice":   {twice, largeCall - 100, true, ""},
		"too long for nothing":  {none, largeCall - 100, false, "more than 8192 bytes"},
		"by one too long":       {starts, 8193, false, "more than 8192 bytes"},
		"just short enough":     {starts, 8192, true, ""},
		"another value":         {slow, 8192, false, "another value"},
	} {
		g := compile([]policy.Subject{manyPatterns(same, c.pattern)})
		arguments := []byte(`{"x":"` + strings.Repeat("a", c.size) + `"}`)
		d := g.DecideArguments(argumentTool("a/read", ""), arguments, nil)
		if said := d.Explain()[0].Observed; d.Allowed() != c.allowed || !strings.Contains(said, c.said) {
			t.Errorf("%s: allowed %t: %.300s", name, d.Allowed(), said)
		}
	}
}

// BenchmarkManyMembers: as many members as a message may have, held against one pointer
// and against as many as a chain of keys can have; names are looked up, not compared
// with each that is looked for.
func BenchmarkManyMembers(b *testing.B) {
	chain := make([]policy.Subject, 8)
	for i := range chain {
		chain[i] = manyPatterns(func(rule int) string { return fmt.Sprintf("/a%d-%d", i, rule) }, func(int) string { return "x" })
	}
	members := []byte(`{"x":1` + strings.Repeat(`,"a":1`, largeCall/6-100) + `}`)
	for name, g := range map[string]*policy.Grant{
		"1 pointer":    compile([]policy.Subject{withRules(argument("*", "/a0-0", "x"))}),
		"512 pointers": compile(chain),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if g.DecideArguments(argumentTool("a/read", ""), members, nil).Allowed() {
					b.Fatal("allowed")
				}
			}
		})
	}
}
