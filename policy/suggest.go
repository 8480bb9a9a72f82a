package policy

import (
	"slices"
	"strings"
)

// SuggestedNames are upstream names that the grant's allow patterns are likely
// to mean, and one that no pattern is likely to mean, to ask Decide whether an
// instance whose tools nobody has seen yet may have one for this grant. They
// are a choice: that Decide denies all of them proves nothing, that it allows
// one does. A nil or zero Grant suggests none.
func (g *Grant) SuggestedNames() []string {
	if g == nil || len(g.layers) == 0 {
		return nil
	}
	out := []string{"-"}
	for i := range g.layers {
		l := &g.layers[i].allowlist
		if l.mode != listAllow {
			continue
		}
		for n := range l.count {
			if name := l.pattern(int(n)).suggestedName(); name != "" {
				out = append(out, name)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// suggestedName is what the pattern leaves for the tool after the instance,
// with nothing for its wildcards, or a dash where nothing else is left.
func (p Pattern) suggestedName() string {
	text := p.text
	switch p.target {
	case targetID:
		_, text, _ = strings.Cut(text, "/")
	case targetName:
		if _, after, named := strings.Cut(text, "__"); named {
			text = after
		}
	default:
		return ""
	}
	if name := strings.ReplaceAll(text, "*", ""); name != "" {
		return name
	}
	return "-"
}
