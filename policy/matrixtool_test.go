package policy_test

import (
	"slices"
	"strings"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// presetForms tell the preset, and the tool by what a ceiling looks at.
func presetForms(c *corpusCase, t *policy.Tool) []string {
	known := func(name string) bool { return reserved(name) || c.ownPreset() }
	beside := []string{"mcpPermissions"}
	if c.layers[0].Policy.Preset == "custom" {
		beside = nil // it has no categories but those
	}
	forms := wireForms("mcpPreset", ofInstance, known, beside...)(c, t)
	if len(forms) == 0 || c.malformed != "" {
		return forms
	}
	form := pick(c.ownPreset(), "own", forms[0])
	if management(t.Category) {
		return []string{form + ",management"}
	}
	return []string{form + "," + t.Effect.String()}
}

// ownPreset tells whether the key has one of the tenant's own presets.
func (c *corpusCase) ownPreset() bool {
	name := c.layers[0].Policy.Preset
	_, own := c.layers[0].Presets[name]
	return own && !reserved(name)
}

func presetsForms(c *corpusCase, t *policy.Tool) []string {
	s := c.layers[0]
	_, named := s.Presets[s.Policy.Preset]
	switch n := len(s.Presets); {
	case !ofInstance(t) || c.gives("mcpPermissions") || s.Policy.Preset == "":
		return nil
	case reserved(s.Policy.Preset):
		return pickForm(named, "reserved")
	case !named:
		return []string{pick(n == 0, "none", "others")}
	default:
		return []string{pick(n == 1, "one", "many")}
	}
}

func pickForm(cond bool, form string) []string {
	if !cond {
		return nil
	}
	return []string{form}
}

func ownPresetForms(c *corpusCase, t *policy.Tool) []string {
	if !ofInstance(t) || !c.ownPreset() || c.gives("mcpPermissions") {
		return nil
	}
	return []string{listForm(c.layers[0].Presets[c.layers[0].Policy.Preset].Permissions, categoryEntry)}
}

func ownCeilingForms(c *corpusCase, t *policy.Tool) []string {
	return pickForm(len(ownPresetForms(c, t)) > 0, c.layers[0].Presets[c.layers[0].Policy.Preset].MaxEffect.String())
}

func categoryEntry(s string) bool {
	name, ok := strings.CutPrefix(s, "mcp:")
	return ok && (name == "*" || naiveCategory.MatchString(name))
}

func permissionForms(c *corpusCase, t *policy.Tool) []string {
	forms := wireForms("mcpPermissions", ofInstance, categoryEntry)(c, t)
	if len(forms) > 0 && c.layers[0].Policy.Preset == "custom" {
		forms[0] = "custom:" + forms[0]
	}
	return forms
}

// allowlistForms tell the mode and the list, and of a single pattern its kind.
func allowlistForms(c *corpusCase, t *policy.Tool) []string {
	list := wireForms("mcpToolAllowlist", ordinary, pattern)(c, t)
	if len(list) == 0 || c.malformed != "" {
		return list
	}
	mode := wireForms("mcpAllowlistMode", ordinary, oneOf("all", "allow", "deny"))(c, t)[0] + ":"
	if list[0] == "one" {
		return []string{mode + "one", mode + patternKind(c.layers[0].Policy.ToolAllowlist[0])}
	}
	return []string{mode + list[0]}
}

func patternKind(p string) string {
	switch {
	case p == "*":
		return "everything"
	case p[0] == '@':
		return "category"
	case strings.HasSuffix(p, "/*"):
		return "instance"
	case strings.Contains(p, "/"):
		return "id"
	case strings.Contains(strings.Trim(p, "*"), "*"), p[0] == '*' && strings.HasSuffix(p, "*"):
		return "within"
	case p[0] == '*':
		return "suffix"
	case strings.HasSuffix(p, "*"):
		return "prefix"
	}
	return pick(strings.Contains(p, "__"), "exposed", "name")
}

func restForms(c *corpusCase, t *policy.Tool) []string {
	text, given := c.word("key permissions")
	if list := splitList(text); ordinary(t) && naiveBuiltin(t) && permission(t.Permission) && !c.gives("mcpPermissions") {
		switch {
		case !given:
			return []string{"absent"}
		case slices.Contains(list, "*"):
			return []string{pick(slices.Contains(list, "manage:tenants"), "star-and-tenants", "star")}
		}
		return []string{listForm(list, permission)}
	}
	return nil
}

func needForms(c *corpusCase, t *policy.Tool) []string {
	switch {
	case !ordinary(t) || c.gives("mcpPermissions"):
		return nil
	case !naiveBuiltin(t):
		return pickForm(t.Permission != "", "not-a-built-in")
	case t.Permission == "":
		return []string{"absent"}
	}
	return []string{nameForm(t.Permission, permission)}
}

func idForms(c *corpusCase, t *policy.Tool) []string {
	if t == nil {
		return pickForm(c.malformed == "", "none")
	}
	slug, name, slash := strings.Cut(t.ID, "/")
	switch {
	case !slash:
		return []string{"no-slash"}
	case slug == "":
		return []string{"no-slug"}
	case name == "":
		return []string{"no-name"}
	case name == "whoami" && slug == "bailiwick":
		return []string{"whoami"}
	case slug == "bailiwick":
		return []string{"built-in"}
	}
	return []string{pick(strings.Contains(name, "/"), "nested", "instance")}
}

func categoryForms(_ *corpusCase, t *policy.Tool) []string {
	if !ofInstance(t) {
		return nil
	}
	switch n := t.Category; {
	case n == "":
		return []string{"empty"}
	case len(n) > 32:
		return []string{"too-long"}
	case strings.ToLower(n) != n:
		return []string{"capital"}
	case strings.Contains(n, "_"):
		return []string{"underscore"}
	case len(n) == 32:
		return []string{"longest"}
	}
	return []string{pick(management(t.Category), "management", "ordinary")}
}

// underLimit tells whether the tool has such an id, and whether the key lists
// any.
func underLimit(field string, id func(*policy.Tool) string) formsOf {
	return func(c *corpusCase, t *policy.Tool) []string {
		if !ofInstance(t) || c.gives("key project") {
			return nil
		}
		_, wire := c.wire()
		raw, given := wire[field]
		listed := given && string(raw) != "null"
		return []string{pick(id(t) == "", "empty", "some") + pick(listed, ",listed", ",unlimited")}
	}
}
