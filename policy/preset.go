package policy

import (
	"fmt"
	"slices"
	"strings"
)

// categorySet is either the listed categories, or every category but those.
// The zero set is empty.
type categorySet struct {
	names  []string // sorted
	allBut bool
}

// everyCategory has all names of the right grammar.
var everyCategory = categorySet{allBut: true}

// ordinary categories are all but those of the built-in management tools.
var ordinaryCategories = categorySet{allBut: true, names: []string{"audit", "keys", "platform"}}

func (c *categorySet) contains(name string) bool {
	for _, n := range c.names {
		if n == name {
			return !c.allBut
		}
	}
	return c.allBut && ValidCategory(name)
}

// categoriesOf reads mcp:<category> and mcp:*; any other entry adds nothing.
func categoriesOf(entries []string) categorySet {
	var names []string
	for _, e := range entries {
		name, ok := strings.CutPrefix(e, categoryPrefix)
		switch {
		case e == anyCategory:
			return everyCategory
		case ok && ValidCategory(name):
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return categorySet{names: slices.Clip(slices.Compact(names))}
}

// within tells whether every category of c is in d.
func (c categorySet) within(d categorySet) bool {
	in := func(list []string) func(string) bool {
		return func(n string) bool { return slices.Contains(list, n) }
	}
	switch {
	case c.allBut && d.allBut:
		return !slices.ContainsFunc(d.names, func(n string) bool { return !in(c.names)(n) })
	case c.allBut:
		return false // an open set is never within a list
	case d.allBut:
		return !slices.ContainsFunc(c.names, in(d.names))
	}
	return !slices.ContainsFunc(c.names, func(n string) bool { return !in(d.names)(n) })
}

// meet has the categories that both sets have.
func (c categorySet) meet(d categorySet) categorySet {
	if c.allBut && d.allBut {
		names := append(slices.Clone(c.names), d.names...)
		slices.Sort(names)
		return categorySet{allBut: true, names: slices.Compact(names)}
	}
	if c.allBut {
		c, d = d, c
	}
	var names []string
	for _, n := range c.names {
		if d.contains(n) {
			names = append(names, n)
		}
	}
	return categorySet{names: names}
}

func (c *categorySet) String() string {
	switch {
	case c.allBut && len(c.names) == 0:
		return "every category"
	case c.allBut:
		return "every category but " + strings.Join(c.names, ", ")
	case len(c.names) == 0:
		return "no category"
	}
	return strings.Join(c.names, ", ")
}

// ceiling is a preset, resolved: these categories, up to this effect. The zero
// ceiling lets nothing through.
type ceiling struct {
	categories categorySet
	effect     Effect
}

// ceilingOf looks a preset up by name; one that does not exist excludes everything.
func ceilingOf(p *Policy, limit categorySet, own map[string]Preset) ceiling {
	switch p.Preset {
	case PresetReadOnly:
		return ceiling{ordinaryCategories, EffectRead}
	case PresetStandard:
		return ceiling{ordinaryCategories, EffectWrite}
	case PresetFullAccess:
		return ceiling{everyCategory, EffectDestructive}
	case PresetCustom:
		if p.Permissions.IsUnlimited() {
			limit = categorySet{}
		}
		return ceiling{limit, EffectDestructive}
	}
	preset, ok := own[p.Preset]
	if !ok || !preset.MaxEffect.Known() {
		return ceiling{}
	}
	return ceiling{categoriesOf(preset.Permissions), preset.MaxEffect}
}

// ReservedPreset tells whether the name is one of the built-in presets.
func ReservedPreset(name string) bool {
	switch name {
	case PresetReadOnly, PresetStandard, PresetFullAccess, PresetCustom:
		return true
	}
	return false
}

// Validate lists what is wrong with a tenant's preset as written.
func (p Preset) Validate() []Problem {
	var out []Problem
	for i, entry := range p.Permissions {
		if problem := categoryEntryProblem(entry); problem != "" {
			out = append(out, Problem{"permissions", fmt.Sprintf("entry %d: %s", i+1, problem)})
		}
	}
	if !p.MaxEffect.Known() {
		out = append(out, Problem{"maxEffect", "missing or unknown: use read, write or destructive"})
	}
	return out
}
