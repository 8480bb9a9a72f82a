package policy

import (
	"fmt"
	"slices"
	"strings"
)

// Tighten is the tightest policy within s.Policy that still allows the used
// tools, as far as s allows them, and notes on where it is not as tight as the
// use. visible are the tools that s lets through now: of patterns that can't name
// exactly what was used, it chooses those that take in the fewest of them. A tool
// may be among the used more than once, in each category that it may have.
//
// It allows by canonical ids (at most MaxPatterns, else by the patterns that fold
// them), is read-only and of the lowest built-in preset where that is enough, and
// has only the categories, projects and instances of what was used. What a key
// may do without a tool is not looked at: mcpActive stays.
func Tighten(s Subject, used, visible []Tool) (Policy, []string) {
	s.Policy = s.Policy.Canonical()
	used = s.lets(used)
	t := s
	t.Policy.narrowTo(used)
	n := naming{present: compileAllowlist(s.Policy.AllowlistMode, s.Policy.ToolAllowlist), used: map[string]bool{}}
	for i := range used {
		n.used[used[i].ID] = true
	}
	n.visible = slices.DeleteFunc(t.lets(visible), func(t Tool) bool { return n.used[t.ID] })
	if list, ok := n.patterns(used); ok {
		t.Policy.AllowlistMode = ModeAllow
		if s.Policy.AllowlistMode != ModeAllow || !sameSet(list, s.Policy.ToolAllowlist) {
			t.Policy.ToolAllowlist = list
		}
	}
	if problems := Exceeding(Compile(alive(s)), Compile(alive(t))); len(problems) > 0 {
		n.note("%s can't be shown to be within what the key has now, so only a key with wider rights can set it", problems[0].Field)
	}
	return t.Policy, n.notes
}

// alive is the subject but for the rules that ask about no tool.
func alive(s Subject) Subject {
	s.Revoked, s.Enabled, s.TenantMCPEnabled, s.ExpiresAt, s.Policy.Active = false, true, true, nil, true
	if !s.Scope.Known() {
		s.Scope = ScopeFull
	}
	return s
}

// lets are those of the tools that the subject's rules about tools let through.
// A quarantined one counts, for it may be approved; whoami does not, for it is
// there whatever a policy says.
func (s Subject) lets(tools []Tool) []Tool {
	l := compileLayer(&s)
	var out []Tool
	for i := range tools {
		if v := viewOf(&tools[i]); v.ok && !v.whoami && l.toolFailures(&v, false) == 0 {
			out = append(out, tools[i])
		}
	}
	return out
}

// narrowTo narrows all but the list of patterns to what the tools need, all of
// which the policy lets through.
func (p *Policy) narrowTo(used []Tool) {
	var top Effect
	ordinary := true
	var categories, projects, instances []string
	for i := range used {
		t := &used[i]
		top = max(top, t.Effect)
		categories = append(categories, categoryPrefix+t.Category)
		ordinary = ordinary && ordinaryCategories.contains(t.Category, endsOf(t.Category))
		if v := viewOf(t); !v.builtin {
			projects, instances = append(projects, t.ProjectID), append(instances, t.InstanceID)
		}
	}
	p.ReadOnly = p.ReadOnly || top <= EffectRead
	switch {
	case p.Preset != PresetStandard && p.Preset != PresetFullAccess || !ordinary:
	case top <= EffectRead:
		p.Preset = PresetReadOnly
	case top <= EffectWrite:
		p.Preset = PresetStandard
	}
	p.Permissions = p.Permissions.to(categories)
	p.ProjectIDs = p.ProjectIDs.to(projects)
	p.InstanceIDs = p.InstanceIDs.to(instances)
}

// to limits to the values, sorted; it stays as it is where it does so already, or
// where one is empty, which no list lets through.
func (l Limit) to(values []string) Limit {
	values = slices.Compact(slices.Sorted(slices.Values(values)))
	if slices.Contains(values, "") || !l.unlimited && sameSet(values, l.only) {
		return l
	}
	return Only(values...)
}

func sameSet(a, b []string) bool {
	sorted := func(list []string) []string { return slices.Compact(slices.Sorted(slices.Values(list))) }
	return slices.Equal(sorted(a), sorted(b))
}

// naming finds patterns for tools.
type naming struct {
	present allowlist
	used    map[string]bool // canonical ids
	visible []Tool          // that are not used
	notes   []string
}

func (n *naming) note(format string, args ...any) {
	n.notes = append(n.notes, fmt.Sprintf(format, args...))
}

// patterns are at most MaxPatterns that name the tools, and no more than the
// present list lets through; ok is false where there are none such.
func (n *naming) patterns(used []Tool) (list []string, ok bool) {
	var wide []string
	for i := range used {
		p, extra, ok := n.pattern(&used[i])
		if !ok {
			n.note("%s can't be named within the present list, so the list of tools is left as it is", quote(used[i].ID))
			return nil, false
		}
		list = append(list, p.text)
		if said := fmt.Sprintf("%s is named by the pattern %s", quote(used[i].ID), p.text); (p.text != used[i].ID || !p.Exact()) && !slices.Contains(wide, said+others(extra)) {
			wide = append(wide, said+others(extra))
		}
	}
	for _, said := range wide[:min(len(wide), maxReported)] {
		n.note("%s", said)
	}
	if more := len(wide) - maxReported; more > 0 {
		n.note("%d more tools are named by patterns with a *", more)
	}
	slices.Sort(list)
	list = slices.Compact(list)
	if count := len(list); count > MaxPatterns {
		return n.fold(list)
	}
	return append([]string{}, list...), true
}

func others(extra int) string {
	if extra == 0 {
		return ", which takes in nothing else that is there now"
	}
	return fmt.Sprintf(", which takes in %d more that it may use now", extra)
}

// pattern is the one that names the tool and the fewest others: its id, with a *
// for what no pattern can hold, or else a pattern of the present list.
func (n *naming) pattern(t *Tool) (best Pattern, extra int, ok bool) {
	v := viewOf(t)
	try := func(p Pattern) {
		if !p.match(&v) {
			return
		}
		if count := n.extra(p); !ok || count < extra {
			best, extra, ok = p, count, true
		}
	}
	p, err := ParsePattern(starred(t.ID))
	if err == nil && (p.Exact() || n.admits(p)) {
		try(p)
	}
	if n.present.mode == listAllow && (!ok || extra > 0) {
		for i := range n.present.size() {
			try(n.present.pattern(i))
		}
	}
	return best, extra, ok
}

// extra is how many visible tools the pattern takes in that were not used.
func (n *naming) extra(p Pattern) (count int) {
	if p.target == targetID && p.Exact() {
		return 0
	}
	for i := range n.visible {
		if p.Match(&n.visible[i]) {
			count++
		}
	}
	return count
}

// admits tells whether all that the pattern names surely passes the present list.
func (n *naming) admits(p Pattern) bool {
	switch n.present.mode {
	case listAll:
		return true
	case listAllow:
		return some(&n.present, func(q Pattern) bool { return q.subsumes(p) })
	case listDeny:
		return every(&n.present, func(q Pattern) bool { return q.disjoint(p) })
	}
	return false
}

// starred is a canonical id as a pattern: each expression of a URI template, and
// whatever else no pattern can hold, is a *.
func starred(id string) string {
	var out strings.Builder
	put := func(star bool, r rune) {
		switch {
		case !star:
			out.WriteRune(r)
		case !strings.HasSuffix(out.String(), "*"):
			out.WriteByte('*')
		}
	}
	count, skip := 0, -1
	for i, r := range id {
		if i < skip {
			continue
		}
		if end := strings.IndexByte(id[i:], '}'); r == '{' && end > 0 {
			skip = i + end + 1
		}
		if count++; count == MaxPatternLength && len(id) > i+len(string(r)) {
			put(true, 0)
			break
		}
		put(r == '*' || r == '\uFFFD' || patternProblem("a"+string(r)) != "", r)
	}
	return out.String()
}
