package policy

import (
	"slices"
	"strings"
)

// Covers tells whether whatever child permits, parent permits too: MCP policy,
// REST permissions, scope (an api key may issue any), expiry, confinement. It
// is sound, not complete: what can't be shown is refused. Exceeding says where.
//
// Give the child's own layer alone when the question is whether its settings
// are within the parent's: a child compiled with the parent among its ancestors
// is always covered.
func Covers(parent, child *Grant) bool { return len(Exceeding(parent, child)) == 0 }

// Exceeding lists the fields (wire names) in which child can't be shown to be
// within parent; empty when covered. Each layer of the parent must have a layer
// of the child within it; of those that fail, the nearest is reported.
func Exceeding(parent, child *Grant) []Problem {
	if parent == nil || len(parent.layers) == 0 {
		return []Problem{{"key", "the issuing key has no policy, and permits nothing"}}
	}
	if child == nil || len(child.layers) == 0 {
		return []Problem{{"key", "has no policy to compare"}}
	}
	var out []Problem
	for i := range parent.layers {
		nearest := exceeding(&parent.layers[i], &child.layers[0])
		for j := 1; j < len(child.layers) && len(nearest) > 0; j++ {
			if found := exceeding(&parent.layers[i], &child.layers[j]); len(found) < len(nearest) {
				nearest = found
			}
		}
		for _, p := range nearest {
			if !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	return out
}

// exceeding compares two layers, dimension by dimension.
func exceeding(p, c *layer) []Problem {
	var out []Problem
	need := func(ok bool, field, problem string) {
		if !ok {
			out = append(out, Problem{field, problem})
		}
	}
	need(!p.flags.has(flagRevoked), "revoked", "the issuing key is revoked")
	need(p.flags.has(flagEnabled), "enabled", "the issuing key is disabled")
	need(p.flags.has(flagTenantMCP) || !c.flags.has(flagTenantMCP), "mcpEnabled", "MCP is off for the issuing key's tenant")
	need(scopeWithin(p.scope, c.scope), "scope", "an mcp_only key issues only mcp_only keys")
	need(p.flags.has(flagActive) || !c.flags.has(flagActive), "mcpActive", "MCP is paused for the issuing key: set false")
	need(c.rest&^p.rest == 0, "permissions", "beyond the issuing key's permissions")
	need(expiresWithin(p, c), "expiresAt", "later than the issuing key's")
	need(p.confined == "" || p.confined == c.confined, "projectId", "the issuing key is confined to another project")
	out = append(out, presetExceeding(p, c)...)
	need(p.allowlist.covers(&c.allowlist), "mcpToolAllowlist", "can't be shown to be within the issuing key's patterns")
	need(c.reach().within(&p.projects), "mcpProjectIds", "beyond the issuing key's projects")
	need(c.instances.within(&p.instances), "mcpInstanceIds", "beyond the issuing key's instances")
	return append(out, rulesExceeding(p, c)...)
}

func scopeWithin(p, c Scope) bool {
	switch p {
	case ScopeAPI, ScopeFull:
		return c == ScopeAPI || c == ScopeMCPOnly || c == ScopeFull
	case ScopeMCPOnly:
		return c == ScopeMCPOnly
	}
	return false
}

func expiresWithin(p, c *layer) bool {
	if !p.flags.has(flagExpires) {
		return true
	}
	return c.flags.has(flagExpires) && !c.expires.After(p.expires)
}

// presetExceeding compares what preset, mcpPermissions and mcpReadOnly come to
// together, so that a narrow list under a wide preset is within a narrow preset.
func presetExceeding(p, c *layer) []Problem {
	var out []Problem
	categories := c.ceiling.categories
	if c.flags.has(flagLimited) {
		categories = categories.meet(c.limit)
	}
	if c.effect() > p.ceiling.effect || !categories.within(p.ceiling.categories) {
		out = append(out, Problem{"mcpPreset", "above the issuing key's preset"})
	}
	if p.flags.has(flagReadOnly) && c.effect() > EffectRead {
		out = append(out, Problem{"mcpReadOnly", "the issuing key is read-only"})
	}
	if p.flags.has(flagLimited) && !categories.within(p.limit) {
		out = append(out, Problem{"mcpPermissions", "beyond the issuing key's categories"})
	}
	return out
}

// effect is the highest effect that preset and read-only together let through.
func (l *layer) effect() Effect {
	if l.flags.has(flagReadOnly) {
		return min(l.ceiling.effect, EffectRead)
	}
	return l.ceiling.effect
}

// reach is the projects whose tools the layer lets through.
func (l *layer) reach() *idSet {
	switch {
	case l.confined == "":
		return &l.projects
	case l.projects.contains(l.confined):
		return &idSet{names: namesOf([]string{l.confined})}
	}
	return &idSet{}
}

// covers tells whether every tool that c passes is shown to pass a.
func (a *allowlist) covers(c *allowlist) bool {
	switch {
	case a.mode == listAll, c.mode == listNothing, c.mode == listAllow && c.count == 0:
		return true
	case a.mode == listAllow && c.mode == listAllow:
		return every(c, func(q Pattern) bool { return some(a, func(p Pattern) bool { return p.subsumes(q) }) })
	case a.mode == listAllow:
		return some(a, Pattern.universal)
	case a.mode == listDeny && c.mode == listAllow:
		return every(c, func(q Pattern) bool { return every(a, func(p Pattern) bool { return p.disjoint(q) }) })
	case a.mode == listDeny:
		return every(a, func(p Pattern) bool { return some(c, func(q Pattern) bool { return q.subsumes(p) }) })
	}
	return false
}

func every(a *allowlist, holds func(Pattern) bool) bool {
	return !some(a, func(p Pattern) bool { return !holds(p) })
}

func some(a *allowlist, holds func(Pattern) bool) bool {
	for i := range a.size() {
		if holds(a.pattern(i)) {
			return true
		}
	}
	return false
}

// universal tells whether the pattern surely names every tool.
func (p Pattern) universal() bool {
	switch p.target {
	case targetName:
		return globMatch(p.text, "*")
	case targetID:
		return globMatch(p.text, "*/*")
	}
	return false
}

// subsumes tells whether p surely names every tool that q names. Held against
// q's text, only a * of p can take in a * of q, which is just what is asked.
func (p Pattern) subsumes(q Pattern) bool {
	switch {
	case p.universal():
		return true
	case p.target == q.target:
		return globMatch(p.text, q.text)
	case p.target == targetName && q.target == targetID:
		slug, name, _ := strings.Cut(q.text, "/")
		return !strings.Contains(slug, "*") && globMatch(p.text, name)
	}
	return false
}

// disjoint tells whether surely no tool is named by both. An exposed name is
// the upstream name, or has <slug>__ before it.
func (p Pattern) disjoint(q Pattern) bool {
	switch {
	case p.target == targetCategory && q.target == targetCategory:
		return p.text != q.text
	case p.target == targetID && q.target == targetID:
		return globsDisjoint(p.text, q.text)
	case p.target == targetName && q.target == targetName:
		return globsDisjoint(p.text, q.text) && globsDisjoint("*__"+p.text, q.text) && globsDisjoint(p.text, "*__"+q.text)
	case p.target == targetID && q.target == targetName:
		return q.disjoint(p)
	case p.target == targetName && q.target == targetID:
		slug, name, _ := strings.Cut(q.text, "/")
		return !strings.Contains(slug, "*") && globsDisjoint(p.text, name) && globsDisjoint(p.text, slug+"__"+name)
	}
	return false
}

// globsDisjoint compares what is before the first and after the last *; two
// globs that agree there are taken to overlap.
func globsDisjoint(a, b string) bool {
	switch {
	case !strings.Contains(a, "*"):
		return !globMatch(b, a)
	case !strings.Contains(b, "*"):
		return !globMatch(a, b)
	}
	headA, headB := a[:strings.IndexByte(a, '*')], b[:strings.IndexByte(b, '*')]
	tailA, tailB := a[strings.LastIndexByte(a, '*')+1:], b[strings.LastIndexByte(b, '*')+1:]
	return !strings.HasPrefix(headA, headB) && !strings.HasPrefix(headB, headA) ||
		!strings.HasSuffix(tailA, tailB) && !strings.HasSuffix(tailB, tailA)
}
