package policy

import (
	"fmt"
	"slices"
	"sync/atomic"
)

// Narrowing is what one request or session gives up by itself. The zero
// Narrowing gives up everything; [NoNarrowing] nothing.
type Narrowing struct {
	Instances  Limit    // slugs; built-ins have the slug bailiwick
	Categories Limit    // ?categories=
	Toolsets   Limit    // X-MCP-Toolsets: categories
	Tools      Limit    // X-MCP-Tools: patterns
	Exclude    []string // X-MCP-Exclude-Tools: patterns
	ReadOnly   bool
}

// NoNarrowing gives up nothing.
func NoNarrowing() Narrowing {
	return Narrowing{Instances: Unlimited(), Categories: Unlimited(), Toolsets: Unlimited(), Tools: Unlimited()}
}

func (n Narrowing) givesUpNothing() bool {
	return n.Instances.IsUnlimited() && n.Categories.IsUnlimited() && n.Toolsets.IsUnlimited() &&
		n.Tools.IsUnlimited() && len(n.Exclude) == 0 && !n.ReadOnly
}

// Session is one or several compiled narrowings, all of which must allow.
// A nil Session narrows nothing; the zero Session lets nothing through.
type Session struct {
	layers []narrowed
	cached atomic.Pointer[cachedBits]
}

type narrowed struct {
	instances, categories, toolsets idSet
	only, exclude                   allowlist
	readOnly                        bool
}

// Narrow compiles narrowings; nil when none of them gives up anything. A
// pattern that does not parse is a *PatternError.
func Narrow(layers ...Narrowing) (*Session, error) {
	var s Session
	for _, n := range layers {
		if n.givesUpNothing() {
			continue
		}
		only, err := patternList(listAllow, n.Tools.only)
		if err != nil {
			return nil, fmt.Errorf("tools: %w", err)
		}
		if n.Tools.IsUnlimited() {
			only = allowlist{mode: listAll}
		}
		exclude, err := patternList(listDeny, n.Exclude)
		if err != nil {
			return nil, fmt.Errorf("excluded tools: %w", err)
		}
		s.layers = append(s.layers, narrowed{
			instances: idsIn(n.Instances), categories: validCategories(n.Categories), toolsets: validCategories(n.Toolsets),
			only: only, exclude: exclude, readOnly: n.ReadOnly,
		})
	}
	if len(s.layers) == 0 {
		return nil, nil
	}
	return &s, nil
}

// validCategories drops what is no category, lest it match a tool's broken one.
func validCategories(l Limit) idSet {
	if l.unlimited {
		return idSet{all: true}
	}
	return idSet{names: namesOf(slices.DeleteFunc(slices.Clone(l.only), func(name string) bool { return !ValidCategory(name) }))}
}

func patternList(mode listMode, list []string) (allowlist, error) {
	list = distinct(list)
	if len(list) > MaxPatterns {
		return allowlist{}, &PatternError{Pattern: list[MaxPatterns], Problem: fmt.Sprintf("is one too many: at most %d", MaxPatterns)}
	}
	for _, text := range list {
		if _, err := ParsePattern(text); err != nil {
			return allowlist{}, err
		}
	}
	wire := ModeAllow
	if mode == listDeny {
		wire = ModeDeny
	}
	return compileAllowlist(wire, list), nil
}

// With is the session narrowed further by the other one; either may be nil.
func (s *Session) With(more *Session) *Session {
	switch {
	case s == nil:
		return more
	case more == nil:
		return s
	case len(s.layers) == 0 || len(more.layers) == 0:
		return &Session{}
	}
	return &Session{layers: slices.Concat(s.layers, more.layers)}
}

func (s *Session) permits(v *toolView) bool {
	if s == nil {
		return true
	}
	for i := range s.layers {
		if !s.layers[i].permits(v) {
			return false
		}
	}
	return len(s.layers) > 0
}

func (n *narrowed) permits(v *toolView) bool {
	return n.instances.contains(v.slug) && n.categories.contains(v.category) && n.toolsets.contains(v.category) &&
		(!n.readOnly || v.Effect == EffectRead) && n.only.permits(v) && n.exclude.permits(v)
}
