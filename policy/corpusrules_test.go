package policy_test

import (
	"slices"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// The tools that rules tell apart.
const (
	kindInstance = "a tool of an instance"
	kindBuiltin  = "a built-in"
	kindWhoami   = "whoami"
	kindNone     = "no tool"
)

var kinds = []string{kindInstance, kindBuiltin, kindWhoami, kindNone}

func kindOf(t *policy.Tool) string {
	switch {
	case t == nil || !naiveID.MatchString(t.ID):
		return kindNone
	case t.ID == "bailiwick/whoami":
		return kindWhoami
	case naiveBuiltin(t):
		return kindBuiltin
	}
	return kindInstance
}

// ruleShows are the ways a rule can show in the corpus; each that is possible
// must be there. Those of calls only come from elsewhere than Decide.
func ruleShows(r policy.Rule) []string {
	var out []string
	add := func(possible bool, show string) {
		if possible {
			out = append(out, show)
		}
	}
	ofKey, ofTool := r < policy.RuleUnknown, r > policy.RuleUnknown && r < policy.RuleNarrowed
	instanceOnly := r == policy.RuleInstance || r == policy.RuleInstanceWrite || r == policy.RuleProject
	add(r != policy.RuleUnknown && r != policy.RuleNarrowed, "first of several")
	add(r != policy.RuleRevoked, "later")
	// A parent has its child's tenant, and the others are not of a key.
	sameForParent := []policy.Rule{policy.RuleTenantMCP, policy.RuleUnknown, policy.RuleQuarantined, policy.RuleInstanceWrite, policy.RuleNarrowed}
	add(!slices.Contains(sameForParent, r), "alone, by the parent")
	for _, kind := range kinds {
		switch {
		case kind == kindNone:
			add(r <= policy.RuleUnknown, "alone, on "+kind)
		case r == policy.RuleUnknown:
		case kind == kindWhoami && ofTool, kind == kindBuiltin && instanceOnly:
			add(true, "sparing "+kind)
		default:
			add(ofKey || ofTool || r == policy.RuleNarrowed, "alone, on "+kind)
		}
	}
	return out
}

func TestCorpusShowsEveryRule(t *testing.T) {
	there := map[string]map[string]bool{}
	for r := policy.RuleRevoked; r < policy.RuleArgument; r++ {
		there[r.String()] = map[string]bool{}
	}
	if len(there) != len(ruleOrder) {
		t.Errorf("%d rules decide, ruleOrder has %d", len(there), len(ruleOrder))
	}
	for _, c := range corpusCases(t) {
		c.showRules(there)
	}
	for r := policy.RuleRevoked; r < policy.RuleArgument; r++ {
		for _, show := range ruleShows(r) {
			if !there[r.String()][show] {
				t.Errorf("%s: no case of testdata/policy has it %s", r, show)
			}
		}
	}
}

// showRules marks how each rule shows in the case.
func (c *corpusCase) showRules(there map[string]map[string]bool) {
	var spared []string
	for _, d := range c.decisions {
		if len(d.failed) == 0 {
			spared = append(spared, kindOf(d.tool))
		}
	}
	for _, d := range c.decisions {
		kind, failed := kindOf(d.tool), d.failed
		if kind == kindNone && len(failed) > 1 {
			there["tool.unknown"]["later"] = true
			failed = failed[:len(failed)-1] // a key's rule alone has it for company
		}
		for i, rule := range failed {
			shows := there[rule]
			switch {
			case i > 0:
				shows["later"] = true
			case len(failed) > 1:
				shows["first of several"] = true
			case len(c.layers) == 1:
				shows["alone, on "+kind] = true
			case len(naive{c.layers[:1], c.session}.decide(d.tool, genNow)) == 0:
				shows["alone, by the parent"] = true
			}
			if kind == kindInstance {
				for _, other := range spared {
					shows["sparing "+other] = true
				}
			}
		}
	}
}
