package policy

import (
	"fmt"
	"slices"
	"strings"
)

// categorySet is either the listed categories, or every category but those.
// The zero set is empty.
type categorySet struct {
	names
	allBut bool
}

// everyCategory has all names of the right grammar.
var everyCategory = categorySet{allBut: true}

// ordinary categories are all but those of the built-in management tools.
var ordinaryCategories = categorySet{allBut: true, names: namesOf([]string{"audit", "keys", "platform"})}

// contains answers for a category's name and its ends.
func (c *categorySet) contains(name string, e ends) bool {
	if c.has(name, e) {
		return !c.allBut
	}
	return c.allBut && ValidCategory(name)
}

// categoriesOf reads mcp:<category> and mcp:*; any other entry adds nothing.
func categoriesOf(entries []string) categorySet {
	var list []string
	for _, e := range entries {
		name, ok := strings.CutPrefix(e, categoryPrefix)
		switch {
		case e == anyCategory:
			return everyCategory
		case ok && ValidCategory(name):
			list = append(list, name)
		}
	}
	return categorySet{names: namesOf(list)}
}

// within tells whether every category of c is in d.
func (c categorySet) within(d categorySet) bool {
	mine, theirs := c.strings(), d.strings()
	outside := func(list []string) func(string) bool {
		return func(n string) bool { return !slices.Contains(list, n) }
	}
	switch {
	case c.allBut && d.allBut:
		return !slices.ContainsFunc(theirs, outside(mine))
	case c.allBut:
		return false // an open set is never within a list
	case d.allBut:
		return !slices.ContainsFunc(mine, func(n string) bool { return slices.Contains(theirs, n) })
	}
	return !slices.ContainsFunc(mine, outside(theirs))
}

// meet has the categories that both sets have.
func (c categorySet) meet(d categorySet) categorySet {
	if c.allBut && d.allBut {
		return categorySet{allBut: true, names: namesOf(append(c.strings(), d.strings()...))}
	}
	if c.allBut {
		c, d = d, c
	}
	list := slices.DeleteFunc(c.strings(), func(n string) bool { return !d.contains(n, endsOf(n)) })
	return categorySet{names: namesOf(list)}
}

func (c *categorySet) String() string {
	list := strings.Join(c.strings(), ", ")
	switch {
	case c.allBut && list == "":
		return "every category"
	case c.allBut:
		return "every category but " + list
	case list == "":
		return "no category"
	}
	return list
}

// ceiling is a preset, resolved: these categories, up to this effect. The zero
// ceiling lets nothing through.
type ceiling struct {
	categories categorySet
	effect     Effect
}

// ceilingOf looks a preset up by name; one that does not exist excludes
// everything. Under custom the categories are mcpPermissions, which the caller adds.
func ceilingOf(name string, own map[string]Preset) ceiling {
	switch name {
	case PresetReadOnly:
		return ceiling{ordinaryCategories, EffectRead}
	case PresetStandard:
		return ceiling{ordinaryCategories, EffectWrite}
	case PresetFullAccess:
		return ceiling{everyCategory, EffectDestructive}
	case PresetCustom:
		return ceiling{effect: EffectDestructive}
	}
	preset, ok := own[name]
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
