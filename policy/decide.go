package policy

import (
	"strings"
	"time"
)

const (
	builtinSlug   = "bailiwick"
	builtinPrefix = builtinSlug + "/"
	whoamiID      = builtinPrefix + "whoami"
)

// Builtin tells whether the tool is one of the server's own.
func (t *Tool) Builtin() bool { return strings.HasPrefix(t.ID, builtinPrefix) }

// toolView is a tool with its id taken apart.
type toolView struct {
	*Tool
	id, exposed, category string
	slug, upstream        string
	ends                  [4][2]ends // by target: what its patterns are held against
	builtin, whoami       bool
	ok                    bool // false for no tool, and for one whose id is not <slug>/<name>
}

func viewOf(t *Tool) toolView {
	if t == nil {
		return toolView{}
	}
	slash := strings.IndexByte(t.ID, '/')
	if slash <= 0 || slash == len(t.ID)-1 {
		return toolView{}
	}
	v := toolView{
		Tool: t, id: t.ID, exposed: t.Name, category: t.Category,
		slug: t.ID[:slash], upstream: t.ID[slash+1:], ok: true,
	}
	id, category := ends(slugMark(v.slug))|endsOf(v.id)>>32<<32, endsOf(v.category)
	v.ends = [4][2]ends{
		targetName: {endsOf(v.upstream), endsOf(v.exposed)},
		targetID:   {id, id}, targetCategory: {category, category},
	}
	v.builtin = v.slug == builtinSlug
	v.whoami = v.builtin && t.ID == whoamiID
	return v
}

// failures has bit r set when Rule r failed.
type failures uint32

func failIf(failed bool, r Rule) failures {
	if failed {
		return 1 << r
	}
	return 0
}

// Decide answers for one tool; a nil tool is one that the catalog lacks, a nil
// session one that narrowed nothing. All rules are evaluated; it allocates nothing.
func (g *Grant) Decide(s *Session, t *Tool, now time.Time) Decision {
	d := g.DecideKey(now)
	if !d.decided {
		return d
	}
	v := viewOf(t)
	d.failed |= uint32(g.toolFailures(&v, true))
	if v.ok && !s.permits(&v) {
		d.failed |= 1 << RuleNarrowed
	}
	return d
}

// DecideKey answers by the rules before tool.unknown alone: may this key speak
// MCP at all now.
func (g *Grant) DecideKey(now time.Time) Decision {
	if g == nil || len(g.layers) == 0 {
		return Decision{}
	}
	var f failures
	for i := range g.layers {
		f |= g.layers[i].keyFailures() | g.layers[i].expiryFailure(now)
	}
	return Decision{decided: true, failed: uint32(f)}
}

// toolFailures are those of the rules from tool.unknown to project.not_allowed:
// all that depends on neither the time nor the session. Unless all are asked
// for, the first failure ends it.
func (g *Grant) toolFailures(v *toolView, all bool) failures {
	if !v.ok {
		return 1 << RuleUnknown
	}
	if v.whoami {
		return 0
	}
	f := failIf(v.Quarantined, RuleQuarantined)
	for i := range g.layers {
		if f != 0 && !all {
			break
		}
		f |= g.layers[i].toolFailures(v, all)
	}
	return f
}

func (l *layer) keyFailures() failures {
	return failIf(l.flags.has(flagRevoked), RuleRevoked) |
		failIf(!l.flags.has(flagEnabled), RuleDisabled) |
		failIf(!l.flags.has(flagTenantMCP), RuleTenantMCP) |
		failIf(!l.scope.OpensMCP(), RuleScope) |
		failIf(!l.flags.has(flagActive), RulePaused)
}

func (l *layer) expiryFailure(now time.Time) failures {
	return failIf(l.flags.has(flagExpires) && !now.Before(l.expires), RuleExpired)
}

// toolFailures evaluates the rules about the tool: all of them, or only until
// one has failed, which is all that a list needs to know. The allowlist waits
// longest for memory: it goes first where it is needed anyway, else last.
func (l *layer) toolFailures(v *toolView, all bool) failures {
	var f failures
	if all {
		f = failIf(!l.allowlist.permits(v), RuleAllowlist)
	}
	f |= failIf(l.flags.has(flagReadOnly) && v.Effect != EffectRead, RuleReadOnly) |
		failIf(!v.builtin && v.Effect != EffectRead && !v.WriteEnabled, RuleInstanceWrite)
	if f != 0 && !all {
		return f
	}
	f |= failIf(!l.permitted(v), RulePermission) | failIf(!l.inPreset(v), RulePreset)
	if !v.builtin {
		f |= failIf(!l.instances.contains(v.InstanceID), RuleInstance) | failIf(!l.inProject(v), RuleProject)
	}
	if f == 0 && !all {
		f = failIf(!l.allowlist.permits(v), RuleAllowlist)
	}
	return f
}

// permitted: a built-in needs its REST permission, and every tool a category
// within mcpPermissions. Under custom, null is nothing here too.
func (l *layer) permitted(v *toolView) bool {
	if v.builtin && !l.rest.holds(permissionBits(v.Permission)) {
		return false
	}
	if l.flags.has(flagLimited) {
		return l.limit.contains(v.category, v.ends[targetCategory][0])
	}
	return l.preset != PresetCustom
}

func (l *layer) inPreset(v *toolView) bool {
	return v.Effect.Known() && v.Effect <= l.ceiling.effect && l.ceiling.categories.contains(v.category, v.ends[targetCategory][0])
}

func (l *layer) inProject(v *toolView) bool { return l.reachesProject(v.ProjectID) }

func (l *layer) reachesProject(id string) bool {
	return (l.confined == "" || l.confined == id) && l.projects.contains(id)
}

// Unrestricted tells whether no layer limits anything: alive and active,
// full_access, read-only off, every list unlimited, mode all, not confined to a
// project, no rules for calls.
func (g *Grant) Unrestricted() bool {
	if g == nil || len(g.layers) == 0 {
		return false
	}
	for i := range g.layers {
		l := &g.layers[i]
		if l.flags.has(flagRevoked|flagReadOnly) || !l.flags.has(flagEnabled) || !l.flags.has(flagActive) ||
			l.preset != PresetFullAccess || !everyCategory.within(l.limit) || l.allowlist.mode != listAll ||
			!l.projects.all || !l.instances.all || l.confined != "" || l.rules != nil {
			return false
		}
	}
	return true
}

// Can tells whether every layer holds the REST permission: view:<resource> or
// manage:<resource>. manage includes view; * includes all but tenants. It looks
// at nothing else: whether the key lives and opens REST is decided before.
func (g *Grant) Can(permission string) bool {
	if g == nil || len(g.layers) == 0 {
		return false
	}
	need := permissionBits(permission)
	for i := range g.layers {
		if !g.layers[i].rest.holds(need) {
			return false
		}
	}
	return true
}
