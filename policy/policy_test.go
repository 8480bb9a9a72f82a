package policy_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

func TestCanonicalForm(t *testing.T) {
	for text, want := range map[string]string{
		`{}`: `{"mcpActive":true,"mcpReadOnly":true,"mcpPreset":"read_only","mcpPermissions":null,"mcpAllowlistMode":"all","mcpToolAllowlist":[],"mcpProjectIds":null,"mcpInstanceIds":null,"mcpArgumentRules":[],"mcpApprovals":[],"mcpLimits":[]}`,
		`{"mcpInstanceIds":["b","a","b"],"mcpProjectIds":[],"mcpToolAllowlist":["z","z","y"],"mcpAllowlistMode":"deny","mcpPermissions":["mcp:x","mcp:x"],"mcpPreset":"custom","mcpReadOnly":false,"mcpActive":false}`: `{"mcpActive":false,"mcpReadOnly":false,"mcpPreset":"custom","mcpPermissions":["mcp:x"],"mcpAllowlistMode":"deny","mcpToolAllowlist":["z","y"],"mcpProjectIds":[],"mcpInstanceIds":["b","a"],"mcpArgumentRules":[],"mcpApprovals":[],"mcpLimits":[]}`,
	} {
		p, err := policy.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if got := mustMarshal(t, p); got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
	if got := mustMarshal(t, policy.Policy{}); strings.Count(got, "[]") != 7 || strings.Contains(got, "null") {
		t.Errorf("the zero policy is written %s: its lists permit nothing, and its rules demand nothing", got)
	}
}

func TestParseReadsWhatMarshalWrote(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := genSubject(t)
		if slices.Contains(s.Policy.ToolAllowlist, "\xff") {
			return // JSON has no such text
		}
		p, err := policy.Parse([]byte(mustMarshal(t, s.Policy)))
		if err != nil {
			t.Fatal(err)
		}
		if !p.Equal(s.Policy) || !reflect.DeepEqual(p, s.Policy.Canonical()) {
			t.Fatalf("wrote %+v, read %+v", s.Policy, p)
		}
	})
}

func TestPolicyEqual(t *testing.T) {
	base := openSubject().Policy
	for name, edit := range map[string]func(*policy.Policy){
		"active":      func(p *policy.Policy) { p.Active = !p.Active },
		"readonly":    func(p *policy.Policy) { p.ReadOnly = !p.ReadOnly },
		"preset":      func(p *policy.Policy) { p.Preset = "x" },
		"permissions": func(p *policy.Policy) { p.Permissions = policy.Only() },
		"mode":        func(p *policy.Policy) { p.AllowlistMode = "deny" },
		"allowlist":   func(p *policy.Policy) { p.ToolAllowlist = []string{"x"} },
		"projects":    func(p *policy.Policy) { p.ProjectIDs = policy.Only("") },
		"instances":   func(p *policy.Policy) { p.InstanceIDs = policy.Only("a") },
		"arguments":   func(p *policy.Policy) { p.ArgumentRules = []policy.ArgumentRule{{Tool: "*"}} },
		"approvals":   func(p *policy.Policy) { p.Approvals = []policy.ApprovalRule{{Tool: "*"}} },
		"limits":      func(p *policy.Policy) { p.Limits = []policy.RateLimit{{Tool: "*"}} },
	} {
		other := base
		edit(&other)
		if base.Equal(other) || !other.Equal(other) {
			t.Errorf("%s makes no difference, or too much", name)
		}
	}
}

func TestLimit(t *testing.T) {
	var zero policy.Limit
	for name, c := range map[string]struct {
		limit     policy.Limit
		unlimited bool
		contains  bool
		text      string
	}{
		"zero":      {zero, false, false, `[]`},
		"none":      {policy.Only(), false, false, `[]`},
		"unlimited": {policy.Unlimited(), true, true, `null`},
		"one":       {policy.Only("a"), false, true, `["a"]`},
		"twice":     {policy.Only("b", "a", "b"), false, true, `["b","a"]`},
	} {
		text, err := json.Marshal(c.limit)
		if err != nil || string(text) != c.text || c.limit.IsUnlimited() != c.unlimited || c.limit.Contains("a") != c.contains {
			t.Errorf("%s: %s %v", name, text, err)
		}
		var back policy.Limit
		if err := json.Unmarshal(text, &back); err != nil || !back.Equal(c.limit) {
			t.Errorf("%s: read back as %v (%v)", name, back, err)
		}
	}
	if zero.Equal(policy.Unlimited()) {
		t.Error("null and a list are equal")
	}
	given := []string{"a"}
	l := policy.Only(given...)
	given[0] = "b"
	l.Values()[0] = "c"
	if !l.Contains("a") {
		t.Error("a limit shares its list with others")
	}
}

func TestPermissions(t *testing.T) {
	if known := policy.KnownPermissions(); len(known) != 17 {
		t.Fatalf("%d known permissions: %v", len(known), known)
	}
	for _, text := range policy.KnownPermissions() {
		if _, err := policy.ParsePermission(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{"", "view", "view:", "view:*", "manage:all", "View:audit", "mcp:tools", "view:audit ", "**", ":audit"} {
		if _, err := policy.ParsePermission(text); err == nil {
			t.Errorf("%q: accepted", text)
		}
	}
	held := func(list ...string) *policy.Grant {
		s := openSubject()
		s.Permissions = list
		return policy.Compile(s)
	}
	for _, need := range append(policy.KnownPermissions(), "view:nothing", "") {
		for _, list := range [][]string{nil, {"*"}, {"view:audit"}, {"manage:audit"}, {"manage:tenants", "bogus"}} {
			if got, want := held(list...).Can(need), naiveHolds(list, need); got != want {
				t.Errorf("%v can %q is %t", list, need, got)
			}
		}
	}
	parent := openSubject()
	parent.Permissions = []string{"view:audit"}
	if g := policy.Compile(openSubject(), parent); !g.Can("view:audit") || g.Can("view:projects") {
		t.Error("a permission that the parent lacks is held")
	}
	var none *policy.Grant
	if none.Can("view:audit") || new(policy.Grant).Can("*") {
		t.Error("no grant holds a permission")
	}
}

func TestUnrestricted(t *testing.T) {
	if !policy.Compile(openSubject(), openSubject()).Unrestricted() {
		t.Error("an open grant is restricted")
	}
	var none *policy.Grant
	if none.Unrestricted() || new(policy.Grant).Unrestricted() {
		t.Error("no grant is unrestricted")
	}
	for name, edit := range map[string]func(*policy.Subject){
		"revoked":    func(s *policy.Subject) { s.Revoked = true },
		"disabled":   func(s *policy.Subject) { s.Enabled = false },
		"paused":     func(s *policy.Subject) { s.Policy.Active = false },
		"read-only":  func(s *policy.Subject) { s.Policy.ReadOnly = true },
		"preset":     func(s *policy.Subject) { s.Policy.Preset = policy.PresetCustom },
		"categories": func(s *policy.Subject) { s.Policy.Permissions = policy.Only("mcp:tools") },
		"allow":      func(s *policy.Subject) { s.Policy.AllowlistMode, s.Policy.ToolAllowlist = "allow", []string{"*"} },
		"projects":   func(s *policy.Subject) { s.Policy.ProjectIDs = policy.Only("p1") },
		"instances":  func(s *policy.Subject) { s.Policy.InstanceIDs = policy.Only() },
		"confined":   func(s *policy.Subject) { s.ProjectID = "p1" },
	} {
		s := openSubject()
		edit(&s)
		if policy.Compile(s).Unrestricted() || policy.Compile(openSubject(), s).Unrestricted() {
			t.Errorf("%s: unrestricted", name)
		}
	}
}

func TestPresetValidate(t *testing.T) {
	for _, p := range []policy.Preset{
		{Permissions: []string{"mcp:*"}, MaxEffect: policy.EffectRead}, {MaxEffect: policy.EffectWrite},
	} {
		if problems := p.Validate(); len(problems) > 0 {
			t.Errorf("%+v: %v", p, problems)
		}
	}
	bad := policy.Preset{Permissions: []string{"mcp:ok", "tools"}}
	if problems := bad.Validate(); len(problems) != 2 || problems[0].Field != "permissions" || problems[1].Field != "maxEffect" {
		t.Errorf("%v", problems)
	}
	s, tool := openSubject(), policy.Tool{ID: "a/x", Name: "a__x", Category: "tools", Effect: policy.EffectRead}
	if s.Policy.Preset = "wild"; policy.Compile(s).Decide(nil, &tool, genNow).Reason() != policy.RulePreset {
		t.Error("a preset with an effect that there is not permits something")
	}
	if !policy.ReservedPreset("custom") || policy.ReservedPreset("ops") {
		t.Error("reserved names")
	}
}

// A grant that nobody compiled, and a decision nobody made, deny.
func TestZeroValuesDeny(t *testing.T) {
	var none *policy.Grant
	tool := policy.Tool{ID: "bailiwick/whoami", Name: "whoami"}
	for name, d := range map[string]policy.Decision{
		"nil grant": none.Decide(nil, &tool, genNow), "zero grant": new(policy.Grant).Decide(nil, &tool, genNow),
		"nil grant, key": none.DecideKey(genNow), "zero decision": {}, "with a rule": policy.Decision{}.With(policy.RuleRate),
	} {
		if d.Allowed() || d.Reason() != policy.RuleUnknown || !d.Hides() {
			t.Errorf("%s: allowed %t, reason %v", name, d.Allowed(), d.Reason())
		}
	}
	d := policy.Compile(policy.Subject{}).Decide(nil, &policy.Tool{}, genNow)
	if want := []string{"key.disabled", "tenant.mcp_disabled", "key.scope", "key.paused", "tool.unknown"}; !slices.Equal(failing(d), want) {
		t.Errorf("the zero subject: %v, want %v", failing(d), want)
	}
	if _, lines := none.Explain(nil, &tool, genNow); len(lines) != 1 || lines[0].OK {
		t.Errorf("nil grant explains %v", lines)
	}
	late := policy.Compile(openSubject()).Decide(nil, &tool, genNow).With(policy.RuleRate)
	if late.Allowed() || late.Hides() || late.Reason() != policy.RuleRate {
		t.Errorf("a call-time rule: %v, hides %t", late.Failed(), late.Hides())
	}
}

func TestDecideAllocatesNothing(t *testing.T) {
	s := openSubject()
	s.Policy.AllowlistMode, s.Policy.ToolAllowlist = "deny", []string{"a*b*c", "x/*", "@web", "*_z"}
	g, tool := policy.Compile(s, s), policy.Tool{ID: "a/abab", Name: "a__abab", Category: "tools", Effect: policy.EffectWrite}
	narrowing := policy.NoNarrowing()
	narrowing.Exclude = []string{"*_y"}
	session := mustNarrow(t, narrowing)
	if n := testing.AllocsPerRun(100, func() { g.Decide(session, &tool, genNow) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func mustMarshal(t fataler, p policy.Policy) string {
	t.Helper()
	text, err := policy.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
