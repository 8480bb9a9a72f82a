package policy

import (
	"fmt"
	"slices"
	"strings"
)

// callRules is a layer's share of the rules for calls, compiled. Most keys have
// none, so a layer points to it.
type callRules struct {
	arguments []argumentRule
	approvals []approvalRule
	limits    []limitRule
}

type argumentRule struct {
	ArgumentRule
	tool toolMatch
}

type approvalRule struct {
	ApprovalRule
	tool toolMatch
}

type limitRule struct {
	RateLimit
	tool toolMatch
}

// toolMatch is the pattern of a rule that demands something. One that is not
// valid names every tool: the demand holds for what it was meant for.
type toolMatch struct{ Pattern }

func matchOf(text string) toolMatch {
	p, err := ParsePattern(text)
	if err != nil {
		return toolMatch{}
	}
	return toolMatch{p}
}

func (m *toolMatch) names(v *toolView) bool { return m.target == targetNone || m.match(v) }

// takesIn tells whether m surely names every tool that o names.
func (m *toolMatch) takesIn(o *toolMatch) bool {
	return m.target == targetNone || o.target != targetNone && m.subsumes(o.Pattern)
}

func compileRules(p *Policy) *callRules {
	if len(p.ArgumentRules)+len(p.Approvals)+len(p.Limits) == 0 {
		return nil
	}
	r := &callRules{}
	for _, rule := range p.ArgumentRules {
		r.arguments = append(r.arguments, argumentRule{rule, matchOf(rule.Tool)})
	}
	for _, rule := range p.Approvals {
		if !rule.Effect.Known() {
			rule.Effect = EffectRead // every one
		}
		r.approvals = append(r.approvals, approvalRule{rule, matchOf(rule.Tool)})
	}
	for _, rule := range p.Limits {
		r.limits = append(r.limits, limitRule{rule, matchOf(rule.Tool)})
	}
	return r
}

// AppliedLimit is one limit that a call counts against.
type AppliedLimit struct {
	Layer int // whose: 0 is the key itself, then its ancestors, nearest first
	Index int // in that key's mcpLimits
	RateLimit
}

// Limits are those that a call of the tool counts against; nil = none. whoami
// counts against none.
func (g *Grant) Limits(t *Tool) []AppliedLimit {
	if g == nil {
		return nil
	}
	var out []AppliedLimit
	v := viewOf(t)
	for i := range g.layers {
		if g.layers[i].rules == nil || v.whoami {
			continue
		}
		for n := range g.layers[i].rules.limits {
			if l := &g.layers[i].rules.limits[n]; l.tool.names(&v) {
				out = append(out, AppliedLimit{Layer: i, Index: n, RateLimit: l.RateLimit})
			}
		}
	}
	return out
}

// ExplainLimits says how many calls of the tool the key and its ancestors may make;
// ok is false where none limits them. It judges nothing: that a limit is used up is
// found when a call is made.
func (g *Grant) ExplainLimits(t *Tool) (line RuleResult, ok bool) {
	var all []string
	for _, l := range g.Limits(t) {
		text := l.RateLimit.String()
		if l.Layer > 0 {
			text = fmt.Sprintf("ancestor %d: %s", l.Layer, text)
		}
		all = append(all, text)
	}
	if all == nil {
		return RuleResult{}, false
	}
	return RuleResult{Rule: RuleRate, OK: true, Observed: "at most " + strings.Join(all, ", ")}, true
}

// Limited tells whether any layer has a limit of calls, of whatever tool.
func (g *Grant) Limited() bool {
	return g != nil && slices.ContainsFunc(g.layers, func(l layer) bool { return l.rules != nil && len(l.rules.limits) > 0 })
}

// NeedsApproval tells whether a person must approve each call of the tool; whoami
// never needs it. A tool of no known effect is above every effect.
func (g *Grant) NeedsApproval(t *Tool) bool {
	if g == nil {
		return true
	}
	_, rule := g.approval(t)
	return rule != nil
}

// HasApprovals tells whether a person must approve any calls, of whatever tool.
func (g *Grant) HasApprovals() bool {
	return g == nil || slices.ContainsFunc(g.layers, func(l layer) bool { return l.rules != nil && len(l.rules.approvals) > 0 })
}

// ApprovesReads tells whether a person must approve any calls that only read, of
// whatever tool, as resources do.
func (g *Grant) ApprovesReads() bool {
	return g == nil || slices.ContainsFunc(g.layers, func(l layer) bool {
		return l.rules != nil && slices.ContainsFunc(l.rules.approvals, func(a approvalRule) bool { return a.Effect <= EffectRead })
	})
}

// ExplainApproval is the line of an explanation that says why each call of the tool
// needs a person's approval; ok is false when none does.
func (g *Grant) ExplainApproval(t *Tool) (line RuleResult, ok bool) {
	if g == nil {
		return RuleResult{Rule: RuleApproval, OK: true, Observed: "no policy was compiled for this key"}, true
	}
	i, rule := g.approval(t)
	if rule == nil {
		return RuleResult{}, false
	}
	line = RuleResult{Rule: RuleApproval, OK: true, Pattern: rule.Tool, Observed: fmt.Sprintf(
		"each call needs a person's approval (mcpApprovals: tool %s, effect %s or above)", quote(rule.Tool), rule.Effect)}
	if i > 0 {
		line.Observed = fmt.Sprintf("ancestor %d: %s", i, line.Observed)
	}
	return line, true
}

// approval is the first rule that has a person approve calls of the tool, and whose
// it is; nil = none.
func (g *Grant) approval(t *Tool) (layer int, _ *approvalRule) {
	v := viewOf(t)
	if v.whoami {
		return 0, nil
	}
	for i := range g.layers {
		if g.layers[i].rules == nil {
			continue
		}
		for n := range g.layers[i].rules.approvals {
			if a := &g.layers[i].rules.approvals[n]; a.tool.names(&v) && (!v.ok || !v.Effect.Known() || v.Effect >= a.Effect) {
				return i, a
			}
		}
	}
	return 0, nil
}

// rulesExceeding compares what two layers demand of calls: whatever the parent
// demands, the child must demand too, of the same tools or more.
func rulesExceeding(p, c *layer) []Problem {
	if p.rules == nil {
		return nil
	}
	own := c.rules
	if own == nil {
		own = &callRules{}
	}
	var out []Problem
	if !everyRule(p.rules.arguments, own.arguments, func(p, c *argumentRule) bool {
		return c.Pointer == p.Pointer && c.tool.takesIn(&p.tool) && valuesWithin(p.Allow, c.Allow)
	}) {
		out = append(out, Problem{"mcpArgumentRules", "drops or widens one of the issuing key's rules"})
	}
	if !everyRule(p.rules.approvals, own.approvals, func(p, c *approvalRule) bool {
		return c.tool.takesIn(&p.tool) && c.Effect <= p.Effect
	}) {
		out = append(out, Problem{"mcpApprovals", "drops or narrows one of the issuing key's rules"})
	}
	if !everyRule(p.rules.limits, own.limits, func(p, c *limitRule) bool {
		return c.tool.takesIn(&p.tool) && c.Per == p.Per && c.Requests <= p.Requests
	}) {
		out = append(out, Problem{"mcpLimits", "drops or widens one of the issuing key's limits"})
	}
	return out
}

// everyRule tells whether every rule of the parent has one of the child that is at
// least as strict.
func everyRule[R any](parent, child []R, stricter func(p, c *R) bool) bool {
	for i := range parent {
		if !slices.ContainsFunc(child, func(c R) bool { return stricter(&parent[i], &c) }) {
			return false
		}
	}
	return true
}

// valuesWithin tells whether what the child's patterns match is shown to be
// matched by the parent's. A * of the child's is only taken in by one of the
// parent's, and only by nothing but stars one that is nothing else, which alone matches
// what is longer than maxMatched.
func valuesWithin(parent, child []string) bool {
	return !slices.ContainsFunc(child, func(c string) bool {
		return !slices.ContainsFunc(parent, func(p string) bool { return globMatch(p, c) })
	})
}
