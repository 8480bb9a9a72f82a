package policy

import (
	"slices"
	"sync/atomic"
	"time"
)

// Grant is a key's policy, compiled: the key's own layer first, then one for
// each ancestor, all of which must allow. A nil or zero Grant denies. It may be
// used by several goroutines at once, and must not be copied.
type Grant struct {
	layers []layer
	cached atomic.Pointer[cachedBits]
}

// layer is one key's share of a grant. It keeps of the Subject that it was made
// of only the names of scope, preset and project.
type layer struct {
	expires   time.Time // meaningful with flagExpires
	scope     Scope
	preset    string
	ceiling   ceiling
	limit     categorySet // mcpPermissions
	allowlist allowlist
	projects  idSet
	instances idSet
	confined  string // project id, "" = not confined
	rest      permissionSet
	rules     *callRules // nil = none
	flags     flags
}

type flags uint16

const (
	flagRevoked flags = 1 << iota
	flagEnabled
	flagExpires
	flagTenantMCP
	flagActive
	flagReadOnly
	flagLimited // mcpPermissions is a list
)

func (f flags) has(bit flags) bool { return f&bit != 0 }

func flagIf(on bool, bit flags) flags {
	if on {
		return bit
	}
	return 0
}

// Compile makes a Grant of a key and its ancestors. It never fails: what it
// does not understand, it denies.
func Compile(own Subject, ancestors ...Subject) *Grant {
	// Most keys have no ancestors: their one layer lies beside the grant, so that
	// deciding waits for one memory access less.
	beside := new(struct {
		Grant
		own [1]layer
	})
	g := &beside.Grant
	if g.layers = beside.own[:0]; len(ancestors) > 0 {
		g.layers = make([]layer, 0, 1+len(ancestors))
	}
	g.layers = append(g.layers, compileLayer(&own))
	for i := range ancestors {
		g.layers = append(g.layers, compileLayer(&ancestors[i]))
	}
	return g
}

func compileLayer(s *Subject) layer {
	p := &s.Policy
	l := layer{
		scope: s.Scope, preset: p.Preset, confined: s.ProjectID,
		limit:     categoriesIn(p.Permissions),
		allowlist: compileAllowlist(p.AllowlistMode, p.ToolAllowlist),
		projects:  idsIn(p.ProjectIDs), instances: idsIn(p.InstanceIDs),
		rest: permissionsOf(s.Permissions), rules: compileRules(p),
		flags: flagIf(s.Revoked, flagRevoked) | flagIf(s.Enabled, flagEnabled) |
			flagIf(s.TenantMCPEnabled, flagTenantMCP) | flagIf(p.Active, flagActive) |
			flagIf(p.ReadOnly, flagReadOnly) | flagIf(!p.Permissions.IsUnlimited(), flagLimited),
	}
	l.ceiling = ceilingOf(p.Preset, s.Presets)
	lists := []*names{&l.limit.names, &l.projects.names, &l.instances.names, &l.allowlist.names}
	if !ReservedPreset(p.Preset) {
		lists = append(lists, &l.ceiling.categories.names)
	}
	gather(lists...)
	if p.Preset == PresetCustom && l.flags.has(flagLimited) {
		l.ceiling.categories = l.limit
	}
	if s.ExpiresAt != nil {
		l.expires, l.flags = *s.ExpiresAt, l.flags|flagExpires
	}
	return l
}

// Share puts the grant's own texts in the place of equal ones in the allowlist that
// its first layer was made of, so that they are in memory once.
func (g *Grant) Share(toolAllowlist []string) {
	own := &g.layers[0].allowlist.names
	for i, at := 0, 0; i < len(toolAllowlist) && at < own.size(); i++ {
		if text := own.at(at); text == toolAllowlist[i] {
			toolAllowlist[i] = text
			at++
		}
	}
}

func categoriesIn(l Limit) categorySet {
	if l.unlimited {
		return everyCategory
	}
	return categoriesOf(l.only)
}

// idSet is a compiled Limit of ids; the zero set is empty.
type idSet struct {
	names
	all bool
}

// idsIn drops the empty id: it names nothing, so no list reaches it.
func idsIn(l Limit) idSet {
	if l.unlimited {
		return idSet{all: true}
	}
	return idSet{names: namesOf(slices.DeleteFunc(slices.Clone(l.only), func(id string) bool { return id == "" }))}
}

func (s *idSet) contains(id string) bool { return s.all || s.has(id, endsOf(id)) }

func (s *idSet) within(o *idSet) bool {
	if s.all || o.all {
		return o.all
	}
	return !slices.ContainsFunc(s.strings(), func(id string) bool { return !o.contains(id) })
}
