package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// lets are the tools that a key's own rules about tools let through.
func lets(s policy.Subject, tools []policy.Tool) (out []policy.Tool) {
	s.Revoked, s.Enabled, s.TenantMCPEnabled, s.Scope, s.ExpiresAt, s.Policy.Active = false, true, true, policy.ScopeFull, nil, true
	g := policy.Compile(s)
	for _, t := range tools {
		if t.Quarantined = false; t.ID != "bailiwick/whoami" && g.Decide(nil, &t, genNow).Allowed() {
			out = append(out, t)
		}
	}
	return out
}

func idsOf(tools []policy.Tool) (out []string) {
	for _, t := range tools {
		out = append(out, t.ID)
	}
	slices.Sort(out)
	return out
}

// What is suggested lets through what was used, no more, and is a narrowing.
func TestTightenIsTheUse(t *testing.T) {
	some, unshown := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		s, c := genSubject(t), genCatalog(t, 20)
		var all []policy.Tool
		for i := range c.Len() {
			all = append(all, *c.At(i))
		}
		visible := lets(s, all)
		used := slices.DeleteFunc(slices.Clone(visible), func(policy.Tool) bool { return rapid.Bool().Draw(t, "unused") })
		asked := append(slices.Clone(used), all[rapid.IntRange(0, len(all)-1).Draw(t, "tried")]) // perhaps denied
		used = lets(s, asked)
		got, notes := policy.Tighten(s, asked, visible)
		tight := s
		tight.Policy = got
		if have, want := idsOf(lets(tight, all)), slices.Compact(idsOf(used)); !slices.Equal(have, want) {
			t.Fatalf("it lets through %q, used were %q: %+v, %q", have, want, got, notes)
		}
		if problems := got.Validate(s.Presets); len(problems) > 0 && len(s.Policy.Validate(s.Presets)) == 0 {
			t.Fatalf("%+v can't be written: %v", got, problems)
		}
		if len(used) > 0 {
			some++
		}
		if problems := exceedingOnPaper(s, tight); len(problems) > 0 {
			unshown++
			category := func(p string) bool { return strings.HasPrefix(p, "@") }
			if len(notes) == 0 || !slices.ContainsFunc(s.Policy.ToolAllowlist, category) {
				t.Fatalf("%+v can't be shown to be within %+v: %v, %q", got, s.Policy, problems, notes)
			}
		}
		if again, _ := policy.Tighten(tight, asked, lets(tight, all)); !again.Equal(got) {
			t.Fatalf("tightened again, %+v becomes %+v", got, again)
		}
		assertNoTighter(t, tight, used)
	})
	t.Logf("%d with some use, %d only not shown to be narrower", some, unshown)
	if some < 30 {
		t.Fatalf("%d policies with some use are too few", some)
	}
}

func exceedingOnPaper(s, tight policy.Subject) []policy.Problem {
	for _, one := range []*policy.Subject{&s, &tight} {
		one.Revoked, one.Enabled, one.TenantMCPEnabled, one.Scope, one.ExpiresAt = false, true, true, policy.ScopeFull, nil
		one.Policy.Active = true
	}
	return policy.Exceeding(policy.Compile(s), policy.Compile(tight))
}

// assertNoTighter takes something more away in each dimension: a used tool is lost.
func assertNoTighter(t *rapid.T, s policy.Subject, used []policy.Tool) {
	t.Helper()
	kept := func(edit func(p *policy.Policy)) bool {
		less := s
		edit(&less.Policy)
		return len(lets(less, used)) == len(used)
	}
	p := s.Policy
	if !p.ReadOnly && kept(func(p *policy.Policy) { p.ReadOnly = true }) {
		t.Fatalf("%+v could be read-only", p)
	}
	for _, lower := range map[string][]string{
		policy.PresetFullAccess: {policy.PresetReadOnly, policy.PresetStandard}, policy.PresetStandard: {policy.PresetReadOnly},
	}[p.Preset] {
		if kept(func(p *policy.Policy) { p.Preset = lower }) {
			t.Fatalf("%+v could have the preset %s", p, lower)
		}
	}
	for name, limit := range map[string]func(*policy.Policy) *policy.Limit{
		"mcpPermissions": func(p *policy.Policy) *policy.Limit { return &p.Permissions },
		"mcpProjectIds":  func(p *policy.Policy) *policy.Limit { return &p.ProjectIDs },
		"mcpInstanceIds": func(p *policy.Policy) *policy.Limit { return &p.InstanceIDs },
	} {
		nowhere := func(t policy.Tool) bool { return t.InstanceID == "" || t.ProjectID == "" } // no list reaches it
		if limit(&p).IsUnlimited() && !slices.ContainsFunc(used, nowhere) {
			t.Fatalf("%s of %+v has no limit", name, p)
		}
		for i := range limit(&p).Values() {
			if kept(func(p *policy.Policy) { *limit(p) = policy.Only(slices.Delete(limit(p).Values(), i, i+1)...) }) {
				t.Fatalf("%s of %+v has one too many", name, p)
			}
		}
	}
	for i := range p.ToolAllowlist {
		if kept(func(p *policy.Policy) { p.ToolAllowlist = slices.Delete(slices.Clone(p.ToolAllowlist), i, i+1) }) {
			t.Fatalf("a pattern of %+v is one too many", p)
		}
	}
}

// toolsOf are read tools of one category, each of its own instance's.
func toolsOf(ids ...string) (out []policy.Tool) {
	for _, id := range ids {
		slug, name, _ := strings.Cut(id, "/")
		out = append(out, policy.Tool{ID: id, Name: slug + "__" + name, Category: "tools", Effect: policy.EffectRead, InstanceID: slug, ProjectID: "p1"})
	}
	return out
}

// Names that no pattern can hold are named by a pattern that takes in the fewest others.
func TestTightenNamesWhatNoPatternHolds(t *testing.T) {
	long := "a/" + strings.Repeat("x", 300)
	for name, c := range map[string]struct {
		mode         policy.Mode
		present      []string
		used, others []string
		want         []string
		note         string // part of the first one; "" = none
		left, noted  bool   // the list stays; there are notes of whatever kind
	}{
		"exact":             {policy.ModeAll, nil, []string{"a/get"}, []string{"a/get_all"}, []string{"a/get"}, "", false, false},
		"template":          {policy.ModeAll, nil, []string{"a/n://{+id}/x"}, []string{"a/m://{id}"}, []string{"a/n://*/x"}, "takes in nothing else", false, false},
		"query":             {policy.ModeAll, nil, []string{"a/n://x?y=[1]"}, []string{"a/n://xay=b1c"}, []string{"a/n://x*y=*1*"}, "takes in 1 more", false, false},
		"unclosed":          {policy.ModeAll, nil, []string{"a/x{y", "a/}"}, nil, []string{"a/*", "a/x*y"}, "", false, true},
		"star":              {policy.ModeAll, nil, []string{"a/w*d"}, []string{"a/word"}, []string{"a/w*d"}, "takes in 1 more", false, false},
		"long":              {policy.ModeAll, nil, []string{long}, nil, []string{long[:255] + "*"}, "takes in nothing else", false, false},
		"control":           {policy.ModeAll, nil, []string{"a/x\ny\xff"}, nil, []string{"a/x*y*"}, "takes in nothing else", false, false},
		"within an allow":   {policy.ModeAllow, []string{"a/n*", "zz"}, []string{"a/n?"}, nil, []string{"a/n*"}, "takes in nothing else", false, false},
		"the allow's own":   {policy.ModeAllow, []string{"@tools", "zz"}, []string{"a/?n"}, []string{"a/n"}, []string{"@tools"}, "takes in 1 more", false, false},
		"a category's":      {policy.ModeAllow, []string{"@tools", "b*", "*n"}, []string{"a/?n"}, []string{"a/n", "a/xn"}, []string{"a/*n"}, "takes in 2 more", false, false},
		"beside a deny":     {policy.ModeDeny, []string{"b/*"}, []string{"a/n?"}, nil, []string{"a/n*"}, "takes in nothing else", false, false},
		"across a deny":     {policy.ModeDeny, []string{"a/no"}, []string{"a/n?"}, nil, []string{"a/no"}, "left as it is", true, false},
		"exposed name":      {policy.ModeAllow, []string{"a__get"}, []string{"a/get"}, nil, []string{"a/get"}, "", false, false},
		"category":          {policy.ModeAllow, []string{"@tools"}, []string{"a/get"}, nil, []string{"a/get"}, "only a key with wider rights", false, false},
		"nothing was used":  {policy.ModeAll, nil, nil, []string{"a/get"}, []string{}, "", false, false},
		"denied is no loss": {policy.ModeDeny, []string{"a/get"}, []string{"a/get"}, nil, []string{}, "", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := openSubject()
			s.Policy.AllowlistMode, s.Policy.ToolAllowlist = c.mode, c.present
			used := toolsOf(c.used...)
			got, notes := policy.Tighten(s, used, lets(s, append(toolsOf(c.others...), used...)))
			wantMode := policy.ModeAllow
			if c.left {
				wantMode = c.mode
			}
			if got.AllowlistMode != wantMode || !slices.Equal(got.ToolAllowlist, c.want) {
				t.Errorf("%s %q, want %q", got.AllowlistMode, got.ToolAllowlist, c.want)
			}
			if c.note == "" && !c.noted && len(notes) > 0 || c.note != "" && (len(notes) != 1 || !strings.Contains(notes[0], c.note)) {
				t.Errorf("notes %q, want %q", notes, c.note)
			}
			tight := s
			tight.Policy = got
			if lost := len(lets(s, used)) - len(lets(tight, used)); lost != 0 {
				t.Errorf("%d used tools are lost", lost)
			}
		})
	}
}

// A pattern of the present list is taken where it takes in fewer than the id's own.
func TestTightenTakesTheNarrowerPattern(t *testing.T) {
	s := openSubject()
	s.Policy.AllowlistMode, s.Policy.ToolAllowlist = policy.ModeAllow, []string{"*", "@web"}
	tools := toolsOf("a/?n", "a/xn", "a/get")
	tools[0].Category = "web"
	got, _ := policy.Tighten(s, []policy.Tool{tools[0], tools[2]}, tools)
	if want := []string{"@web", "a/get"}; !slices.Equal(got.ToolAllowlist, want) {
		t.Errorf("%q, want %q", got.ToolAllowlist, want)
	}
}

// More tools than a list can name are folded, into what takes in the fewest
// others and nothing that the present list keeps out.
func TestTightenFolds(t *testing.T) {
	many := func(format string, n int) (out []string) {
		for i := range n {
			out = append(out, fmt.Sprintf(format, i))
		}
		return out
	}
	for name, c := range map[string]struct {
		mode    policy.Mode
		present []string
		used    []string
		others  []string
		folded  []string // of the patterns, those with a *
		count   int      // of patterns
		left    bool
	}{
		"just as many":  {policy.ModeAll, nil, many("a/t%d", 256), nil, nil, 256, false},
		"one too many":  {policy.ModeAll, nil, many("a/t%d", 257), nil, []string{"a/t*"}, 1, false},
		"two instances": {policy.ModeAll, nil, append(many("a/x%d", 200), many("b/y%d", 100)...), []string{"b/z", "a/x"}, []string{"a/x1*"}, 190, false},
		"none is whole": {policy.ModeAll, nil, append(many("a/x%03d", 200), many("b/y%03d", 100)...), []string{"b/y", "b/", "a/x", "a/z", "b/y0x", "b/y1"},
			[]string{"a/x0*"}, 201, false},
		"within an allow": {policy.ModeAllow, []string{"b/*", "x*"}, append(many("a/x%03d", 200), many("b/y%03d", 100)...), nil, []string{"a/x*"}, 101, false},
		"beside a deny":   {policy.ModeDeny, []string{"a/x1no", "b/q"}, append(many("a/x%03d", 200), many("b/y%03d", 100)...), nil, []string{"a/x0*"}, 201, false},
		"across a deny":   {policy.ModeDeny, []string{"*00no", "*no"}, many("a/%03d", 300), nil, nil, 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := openSubject()
			s.Policy.AllowlistMode, s.Policy.ToolAllowlist = c.mode, c.present
			used := toolsOf(c.used...)
			visible := lets(s, append(toolsOf(c.others...), used...))
			got, notes := policy.Tighten(s, used, visible)
			tight := s
			tight.Policy = got
			if lost := len(used) - len(lets(tight, used)); lost != 0 {
				t.Fatalf("%d used tools are lost: %q", lost, got.ToolAllowlist)
			}
			if problems := exceedingOnPaper(s, tight); len(problems) > 0 {
				t.Fatalf("it is no narrowing: %v, %q", problems, got.ToolAllowlist)
			}
			folded := slices.DeleteFunc(slices.Clone(got.ToolAllowlist), func(p string) bool { return !strings.Contains(p, "*") })
			if c.left {
				folded = nil
			}
			if len(got.ToolAllowlist) != c.count || !slices.Equal(folded, c.folded) || (got.AllowlistMode != policy.ModeAllow) != c.left {
				t.Errorf("%s %d patterns, folded %q, want %d and %q: %q", got.AllowlistMode, len(got.ToolAllowlist), folded, c.count, c.folded, notes)
			}
			if (len(c.used) > 256) != (len(notes) > 0) {
				t.Errorf("notes %q", notes)
			}
		})
	}
}
