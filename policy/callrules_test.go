package policy_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

func withRules(change func(p *policy.Policy)) policy.Subject {
	s := openSubject()
	change(&s.Policy)
	return s
}

func argument(tool, pointer string, allow ...string) func(*policy.Policy) {
	return func(p *policy.Policy) {
		p.ArgumentRules = append(p.ArgumentRules, policy.ArgumentRule{Tool: tool, Pointer: pointer, Allow: allow})
	}
}

func approval(tool string, e policy.Effect) func(*policy.Policy) {
	return func(p *policy.Policy) {
		p.Approvals = append(p.Approvals, policy.ApprovalRule{Tool: tool, Effect: e})
	}
}

func rate(tool string, n int64, per policy.Period) func(*policy.Policy) {
	return func(p *policy.Policy) {
		p.Limits = append(p.Limits, policy.RateLimit{Tool: tool, Requests: n, Per: per})
	}
}

// A key issues only keys of which calls demand at least what its own do.
func TestCoversRulesOfCalls(t *testing.T) {
	none := func(*policy.Policy) {}
	for _, c := range []struct {
		name          string
		parent, child func(*policy.Policy)
		exceeds       string // "" = covered
	}{
		{"none", none, none, ""},
		{"more than the parent", none, argument("*", "/a"), ""},
		{"argument: dropped", argument("*", "/a", "x"), none, "mcpArgumentRules"},
		{"argument: same", argument("a/*", "/a", "x*"), argument("a/*", "/a", "x*"), ""},
		{"argument: fewer values", argument("a/*", "/a", "x*"), argument("*", "/a", "xy", "x*z"), ""},
		{"argument: other values", argument("a/*", "/a", "x*"), argument("*", "/a", "xy", "y"), "mcpArgumentRules"},
		{"argument: wider pattern", argument("a/*", "/a", "x*"), argument("*", "/a", "*"), "mcpArgumentRules"},
		{"argument: fewer tools", argument("a/*", "/a", "x"), argument("a/read", "/a", "x"), "mcpArgumentRules"},
		{"argument: other pointer", argument("*", "/a", "x"), argument("*", "/b", "x"), "mcpArgumentRules"},
		{"argument: a broken pattern is of every tool", argument("?", "/a", "x"), argument("a/*", "/a", "x"), "mcpArgumentRules"},
		{"approval: dropped", approval("*", policy.EffectWrite), none, "mcpApprovals"},
		{"approval: from a lower effect on", approval("*", policy.EffectWrite), approval("*", policy.EffectRead), ""},
		{"approval: from a higher effect on", approval("*", policy.EffectWrite), approval("*", policy.EffectDestructive), "mcpApprovals"},
		{"approval: an unknown effect is every one", approval("*", 9), approval("*", policy.EffectWrite), "mcpApprovals"},
		{"approval: fewer tools", approval("a/*", policy.EffectRead), approval("a/read", policy.EffectRead), "mcpApprovals"},
		{"limit: dropped", rate("*", 5, policy.PerDay), none, "mcpLimits"},
		{"limit: less", rate("*", 5, policy.PerDay), rate("*", 4, policy.PerDay), ""},
		{"limit: more", rate("*", 5, policy.PerDay), rate("*", 6, policy.PerDay), "mcpLimits"},
		{"limit: another period", rate("*", 5, policy.PerDay), rate("*", 5, policy.PerHour), "mcpLimits"},
		{"limit: fewer tools", rate("*", 5, policy.PerDay), rate("a/*", 5, policy.PerDay), "mcpLimits"},
	} {
		problems := policy.Exceeding(policy.Compile(withRules(c.parent)), policy.Compile(withRules(c.child)))
		got := []string{}
		for _, p := range problems {
			got = append(got, p.Field)
		}
		if want := slices.DeleteFunc([]string{c.exceeds}, func(f string) bool { return f == "" }); !slices.Equal(got, want) {
			t.Errorf("%s: exceeds %v, want %v", c.name, got, want)
		}
	}
	for name, rule := range map[string]func(*policy.Policy){
		"argument": argument("*", "/a", "*"), "approval": approval("x", policy.EffectRead), "limit": rate("*", policy.MaxRequests, policy.PerSecond),
	} {
		if policy.Compile(withRules(rule)).Unrestricted() {
			t.Errorf("a key with a rule of calls (%s) counts as unrestricted", name)
		}
	}
}

func TestNeedsApproval(t *testing.T) {
	tool := func(id string, e policy.Effect) *policy.Tool {
		return &policy.Tool{ID: id, Name: id, Category: "web", Effect: e}
	}
	for _, c := range []struct {
		name string
		rule func(*policy.Policy)
		tool *policy.Tool
		want bool
	}{
		{"no rule", func(*policy.Policy) {}, tool("a/x", policy.EffectDestructive), false},
		{"its effect", approval("*", policy.EffectWrite), tool("a/x", policy.EffectWrite), true},
		{"a lower effect", approval("*", policy.EffectWrite), tool("a/x", policy.EffectRead), false},
		{"no known effect", approval("*", policy.EffectDestructive), tool("a/x", 0), true},
		{"category", approval("@web", policy.EffectRead), tool("a/x", policy.EffectRead), true},
		{"another tool", approval("a/y", policy.EffectRead), tool("a/x", policy.EffectRead), false},
		{"a pattern that is none", approval("?", policy.EffectRead), tool("a/x", policy.EffectRead), true},
		{"an effect that is none", approval("*", 9), tool("a/x", policy.EffectRead), true},
		{"whoami", approval("*", policy.EffectRead), tool("bailiwick/whoami", policy.EffectRead), false},
		{"no tool", approval("*", policy.EffectRead), nil, false},
	} {
		if got := policy.Compile(withRules(c.rule)).NeedsApproval(c.tool); got != c.want && c.tool != nil {
			t.Errorf("%s: %t", c.name, got)
		}
		if got := policy.Compile(openSubject(), withRules(c.rule)).NeedsApproval(c.tool); got != c.want && c.tool != nil {
			t.Errorf("%s, of the parent: %t", c.name, got)
		}
	}
	if !(*policy.Grant)(nil).NeedsApproval(tool("a/x", policy.EffectRead)) {
		t.Error("nobody needs no approval")
	}
}

func TestLimitsOfACall(t *testing.T) {
	own, parent := rate("a/*", 5, policy.PerSecond), rate("*", 100, policy.PerDay)
	g := policy.Compile(withRules(own), withRules(func(p *policy.Policy) { rate("b/*", 1, policy.PerHour)(p); parent(p) }))
	want := []policy.AppliedLimit{
		{Layer: 0, Index: 0, RateLimit: policy.RateLimit{Tool: "a/*", Requests: 5, Per: policy.PerSecond}},
		{Layer: 1, Index: 1, RateLimit: policy.RateLimit{Tool: "*", Requests: 100, Per: policy.PerDay}},
	}
	if got := g.Limits(&policy.Tool{ID: "a/x", Name: "a__x"}); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	if got := g.Limits(&policy.Tool{ID: "bailiwick/whoami", Name: "whoami"}); got != nil {
		t.Errorf("whoami counts against %+v", got)
	}
	line, ok := g.ExplainLimits(&policy.Tool{ID: "a/x", Name: "a__x"})
	if !ok || line.Observed != "at most 5 calls per second of a/*, ancestor 1: 100 calls per day" {
		t.Errorf("explained as %+v", line)
	}
	if _, ok := policy.Compile(openSubject()).ExplainLimits(&policy.Tool{ID: "a/x", Name: "a__x"}); ok {
		t.Error("a limit where there is none is explained")
	}
	if !g.Limited() || policy.Compile(openSubject()).Limited() {
		t.Error("which keys are limited")
	}
}

func TestRuleProblems(t *testing.T) {
	many := func(n int, rule func(*policy.Policy)) func(*policy.Policy) {
		return func(p *policy.Policy) {
			for range n {
				rule(p)
			}
		}
	}
	for _, c := range []struct {
		rule  func(*policy.Policy)
		field string // "" = fine
	}{
		{argument("a/*", "/a/0/b~1c~0", "x*", "?[]{}\\"), ""},
		{argument("", "/a", "x"), "mcpArgumentRules[0].tool"},
		{argument("a?", "/a", "x"), "mcpArgumentRules[0].tool"},
		{argument("*", "", "x"), "mcpArgumentRules[0].pointer"},
		{argument("*", "a", "x"), "mcpArgumentRules[0].pointer"},
		{argument("*", "/a~2", "x"), "mcpArgumentRules[0].pointer"},
		{argument("*", "/a~", "x"), "mcpArgumentRules[0].pointer"},
		{argument("*", "/a\n", "x"), "mcpArgumentRules[0].pointer"},
		{argument("*", "/a"), ""},
		{argument("*", "/a", ""), "mcpArgumentRules[0].allow"},
		{argument("*", "/a", "x\x00"), "mcpArgumentRules[0].allow"},
		{many(64, argument("*", "/a", "x")), ""},
		{many(65, argument("*", "/a", "x")), "mcpArgumentRules"},
		{approval("@web", policy.EffectDestructive), ""},
		{approval("*", 0), ""},
		{approval("*", 9), "mcpApprovals[0].effect"},
		{approval("@", policy.EffectRead), "mcpApprovals[0].tool"},
		{many(65, approval("*", 1)), "mcpApprovals"},
		{rate("*", 1, policy.PerHour), ""},
		{rate("*", 0, policy.PerHour), "mcpLimits[0].requests"},
		{rate("*", 1_000_000_001, policy.PerHour), "mcpLimits[0].requests"},
		{rate("*", 1, "week"), "mcpLimits[0].per"},
		{rate("\\", 1, policy.PerDay), "mcpLimits[0].tool"},
		{many(17, rate("*", 1, policy.PerDay)), "mcpLimits"},
	} {
		s := withRules(c.rule)
		problems := s.Policy.Validate(nil)
		if (len(problems) == 0) != (c.field == "") || len(problems) > 0 && problems[0].Field != c.field {
			t.Errorf("%+v %+v %+v: %v, want %q", s.Policy.ArgumentRules, s.Policy.Approvals, s.Policy.Limits, problems, c.field)
		}
	}
}
