package policy

import (
	"fmt"
	"strings"
	"time"
)

// RuleResult is one line of an explanation.
type RuleResult struct {
	Rule     Rule   `json:"rule"`
	OK       bool   `json:"ok"`
	Observed string `json:"observed"`          // what the rule saw, in words
	Pattern  string `json:"pattern,omitempty"` // the allowlist pattern that decided
}

// Explain answers as Decide does, with every rule that was evaluated, in order.
// Of several layers the first that fails a rule is shown, else the key's own.
func (g *Grant) Explain(s *Session, t *Tool, now time.Time) (Decision, []RuleResult) {
	d := g.Decide(s, t, now)
	if !d.decided {
		return d, []RuleResult{{Rule: RuleUnknown, Observed: "no policy was compiled for this key"}}
	}
	v := viewOf(t)
	var out []RuleResult
	for _, r := range evaluated(&v) {
		line := RuleResult{Rule: r, OK: d.failed&(1<<r) == 0}
		i := g.firstFailing(r, &v, now)
		line.Observed = observed(&g.layers[i], s, r, &v)
		if i > 0 {
			line.Observed = fmt.Sprintf("ancestor %d: %s", i, line.Observed)
		}
		if r == RuleAllowlist {
			line.Pattern = g.layers[i].allowlist.decidedBy(&v)
		}
		out = append(out, line)
	}
	return d, out
}

// evaluated are the rules that apply to the tool.
func evaluated(v *toolView) []Rule {
	last, skip := RuleNarrowed, func(Rule) bool { return false }
	switch {
	case !v.ok:
		last = RuleUnknown
	case v.whoami:
		skip = func(r Rule) bool { return r >= RuleUnknown && r < RuleNarrowed }
	case v.builtin:
		skip = func(r Rule) bool { return r >= RuleInstance && r <= RuleProject }
	}
	var out []Rule
	for r := RuleRevoked; r <= last; r++ {
		if !skip(r) {
			out = append(out, r)
		}
	}
	return out
}

func (g *Grant) firstFailing(r Rule, v *toolView, now time.Time) int {
	for i := range g.layers {
		l := &g.layers[i]
		f := l.keyFailures() | l.expiryFailure(now)
		if v.ok {
			f |= l.toolFailures(v, true)
		}
		if f&(1<<r) != 0 {
			return i
		}
	}
	return 0
}

func observed(l *layer, s *Session, r Rule, v *toolView) string {
	switch r {
	case RuleRevoked:
		return pick(l.flags.has(flagRevoked), "the key is revoked", "the key is not revoked")
	case RuleExpired:
		return l.observedExpiry()
	case RuleDisabled:
		return pick(l.flags.has(flagEnabled), "the key is enabled", "the key is disabled")
	case RuleTenantMCP:
		return pick(l.flags.has(flagTenantMCP), "MCP is on for the tenant", "MCP is off for the tenant")
	case RuleScope:
		return "scope " + string(l.scope)
	case RulePaused:
		return pick(l.flags.has(flagActive), "mcpActive is true", "mcpActive is false: the key is paused")
	case RuleUnknown:
		return pick(v.ok, "the tool is in the catalog", "no such tool in the catalog")
	case RuleQuarantined:
		return pick(v.Quarantined, "its definition changed and waits for approval", "its definition is approved")
	case RuleNarrowed:
		return observedSession(s, v)
	}
	return l.observedTool(r, v)
}

func (l *layer) observedTool(r Rule, v *toolView) string {
	switch r {
	case RulePermission:
		return l.observedPermission(v)
	case RulePreset:
		return fmt.Sprintf("preset %s (%s, effect up to %s), tool of category %s and effect %s",
			quote(l.preset), l.ceiling.categories.String(), l.ceiling.effect, quote(v.category), v.Effect)
	case RuleReadOnly:
		return fmt.Sprintf("mcpReadOnly is %t, effect %s", l.flags.has(flagReadOnly), v.Effect)
	case RuleAllowlist:
		return l.allowlist.observed(v)
	case RuleInstance:
		return observedIDs("instance", v.InstanceID, &l.instances)
	case RuleInstanceWrite:
		return fmt.Sprintf("writeEnabled is %t, effect %s", v.WriteEnabled, v.Effect)
	case RuleProject:
		seen := observedIDs("project", v.ProjectID, &l.projects)
		if l.confined != "" {
			seen += ", key confined to project " + l.confined
		}
		return seen
	}
	return ""
}

func (l *layer) observedExpiry() string {
	if !l.flags.has(flagExpires) {
		return "the key never expires"
	}
	return "the key expires at " + l.expires.UTC().Format(time.RFC3339Nano)
}

func (l *layer) observedPermission(v *toolView) string {
	var seen []string
	if v.builtin {
		held := l.rest.holds(permissionBits(v.Permission))
		seen = append(seen, fmt.Sprintf("needs %s, which the key %s", quote(v.Permission), pick(held, "holds", "lacks")))
	}
	limit := "is null: no limit"
	switch {
	case l.flags.has(flagLimited):
		limit = "has " + l.limit.String()
	case l.preset == PresetCustom:
		limit = "is null: nothing, under custom"
	}
	return strings.Join(append(seen, fmt.Sprintf("category %s, mcpPermissions %s", quote(v.category), limit)), "; ")
}

func observedIDs(noun, id string, set *idSet) string {
	switch {
	case set.all:
		return fmt.Sprintf("%s %s, no limit", noun, quote(id))
	case set.contains(id):
		return fmt.Sprintf("%s %s is listed", noun, quote(id))
	}
	return fmt.Sprintf("%s %s is not among the %d listed", noun, quote(id), set.count)
}

func (a *allowlist) observed(v *toolView) string {
	matched := a.first(v) >= 0
	switch a.mode {
	case listAll:
		return "mode all"
	case listAllow:
		return "mode allow: " + pick(matched, "a pattern matches", fmt.Sprintf("none of %d patterns matches", a.count))
	case listDeny:
		return "mode deny: " + pick(matched, "a pattern matches", fmt.Sprintf("none of %d patterns matches", a.count))
	}
	return "the mode or list is not valid: nothing passes"
}

// decidedBy is the pattern that let the tool through or kept it out.
func (a *allowlist) decidedBy(v *toolView) string {
	if i := a.first(v); i >= 0 {
		return a.pattern(i).text
	}
	return ""
}

func observedSession(s *Session, v *toolView) string {
	switch {
	case s == nil:
		return "the session narrowed nothing"
	case s.permits(v):
		return "within what the session kept"
	}
	return "the session gave this tool up by itself"
}

func pick(cond bool, yes, no string) string {
	if cond {
		return yes
	}
	return no
}
