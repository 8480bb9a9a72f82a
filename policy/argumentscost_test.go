package policy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

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

// quickly fails when a decision takes longer than one that nobody could wait for; what
// is not bounded takes minutes.
func quickly(t *testing.T, decide func() policy.ArgumentDecision) policy.ArgumentDecision {
	t.Helper()
	begun := time.Now()
	d := decide()
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("one decision took %v", took)
	}
	return d
}

// TestLargeArgumentsAreHeldQuickly: the work of one call is bounded, however large its
// strings are and however many patterns they are held against. What is too long for
// that is denied, unless everything is allowed.
func TestLargeArgumentsAreHeldQuickly(t *testing.T) {
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
		d := quickly(t, func() policy.ArgumentDecision { return g.DecideArguments(argumentTool("a/read", ""), arguments, nil) })
		if said := d.Explain()[0].Observed; d.Allowed() != c.allowed || !strings.Contains(said, c.said) {
			t.Errorf("%s: allowed %t: %.300s", name, d.Allowed(), said)
		}
	}
}

// TestManyMembersAreReadQuickly: names are looked up, not compared with each that is
// looked for.
func TestManyMembersAreReadQuickly(t *testing.T) {
	chain := make([]policy.Subject, 8)
	for i := range chain {
		chain[i] = manyPatterns(func(rule int) string { return fmt.Sprintf("/a%d-%d", i, rule) }, func(int) string { return "x" })
	}
	g, tool := compile(chain), argumentTool("a/read", "")
	members := []byte(`{"x":1` + strings.Repeat(`,"a":1`, largeCall/6-100) + `}`)
	few, many := time.Duration(0), time.Duration(0)
	for took, g := range map[*time.Duration]*policy.Grant{&few: compile([]policy.Subject{withRules(argument("*", "/a0-0", "x"))}), &many: g} {
		begun := time.Now()
		if g.DecideArguments(tool, members, nil).Allowed() {
			t.Error("allowed")
		}
		*took = time.Since(begun)
	}
	if many > 4*few+time.Second/2 {
		t.Errorf("one pointer takes %v, 512 take %v", few, many)
	}
}
