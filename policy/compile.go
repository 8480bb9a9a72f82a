package policy

import (
	"slices"
	"strings"
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

// layer is one key's share of a grant. It keeps nothing of the Subject that it
// was made of but ids and names.
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
	g := &Grant{layers: make([]layer, 0, 1+len(ancestors))}
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
		rest: permissionsOf(s.Permissions),
		flags: flagIf(s.Revoked, flagRevoked) | flagIf(s.Enabled, flagEnabled) |
			flagIf(s.TenantMCPEnabled, flagTenantMCP) | flagIf(p.Active, flagActive) |
			flagIf(p.ReadOnly, flagReadOnly) | flagIf(!p.Permissions.IsUnlimited(), flagLimited),
	}
	l.ceiling = ceilingOf(p, l.limit, s.Presets)
	if s.ExpiresAt != nil {
		l.expires, l.flags = *s.ExpiresAt, l.flags|flagExpires
	}
	return l
}

func categoriesIn(l Limit) categorySet {
	if l.unlimited {
		return everyCategory
	}
	return categoriesOf(l.only)
}

// idSet is a compiled Limit of ids; the zero set is empty.
type idSet struct {
	ids []string // sorted
	all bool
}

// idsIn drops the empty id: it names nothing, so no list reaches it.
func idsIn(l Limit) idSet {
	if l.unlimited {
		return idSet{all: true}
	}
	if len(l.only) == 0 {
		return idSet{}
	}
	ids := slices.DeleteFunc(slices.Clone(l.only), func(id string) bool { return id == "" })
	slices.Sort(ids)
	return idSet{ids: slices.Compact(ids)}
}

func (s *idSet) contains(id string) bool {
	if s.all {
		return true
	}
	if len(s.ids) > 16 {
		_, ok := slices.BinarySearch(s.ids, id)
		return ok
	}
	for _, v := range s.ids {
		if v == id {
			return true
		}
	}
	return false
}

func (s *idSet) within(o *idSet) bool {
	if s.all || o.all {
		return o.all
	}
	return !slices.ContainsFunc(s.ids, func(id string) bool { return !o.contains(id) })
}

// allowlist is a compiled mcpToolAllowlist with its mode. The patterns' texts
// lie one after another in one string, which keeps a key small and its patterns
// in few cache lines.
type allowlist struct {
	text     string
	patterns []packed
	mode     listMode
}

type listMode uint8

const (
	listNothing listMode = iota // broken or unknown: nothing passes
	listAll
	listAllow
	listDeny
)

// packed is a Pattern without its text.
type packed struct {
	start  uint32
	length uint16
	kind   uint8 // target | shape<<2
	key    byte
}

func pack(p Pattern, start int) packed {
	return packed{start: uint32(start), length: uint16(len(p.text)), kind: uint8(p.target) | uint8(p.shape)<<2, key: p.key}
}

func (a *allowlist) pattern(i int) Pattern {
	p := a.patterns[i]
	return Pattern{
		text: a.text[p.start : p.start+uint32(p.length)], key: p.key,
		target: target(p.kind & 3), shape: shape(p.kind >> 2),
	}
}

// compileAllowlist fails closed: a list or mode that could not have been
// written lets nothing through, and a pattern that could not have been written
// matches nothing in an allow list and everything in a deny list.
func compileAllowlist(mode Mode, list []string) allowlist {
	a := allowlist{mode: listNothing}
	switch mode {
	case ModeAll:
		a.mode = listAll
		return a // the list is kept in the store, and ignored here
	case ModeAllow:
		a.mode = listAllow
	case ModeDeny:
		a.mode = listDeny
	}
	list = distinct(list)
	if a.mode == listNothing || len(list) > MaxPatterns {
		return allowlist{}
	}
	var text strings.Builder
	for _, s := range list {
		p, err := ParsePattern(s)
		switch {
		case err == nil:
			a.patterns = append(a.patterns, pack(p, text.Len()))
			text.WriteString(s)
		case mode == ModeDeny:
			return allowlist{}
		}
	}
	a.text, a.patterns = strings.Clone(text.String()), slices.Clone(a.patterns)
	return a
}

// first is the index of the first pattern that names the tool, -1 when none does.
func (a *allowlist) first(v *toolView) int {
	for i := range a.patterns {
		p := a.pattern(i)
		if p.match(v) {
			return i
		}
	}
	return -1
}

func (a *allowlist) permits(v *toolView) bool {
	switch a.mode {
	case listAll:
		return true
	case listAllow:
		return a.first(v) >= 0
	case listDeny:
		return a.first(v) < 0
	}
	return false
}

func distinct(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	seen := make(map[string]struct{}, len(list))
	out := make([]string, 0, len(list))
	for _, s := range list {
		if _, dup := seen[s]; !dup {
			seen[s] = struct{}{}
			out = append(out, s)
		}
	}
	return out
}
