package policy_test

import (
	"slices"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// TestSuggestedNames: what the names find of an instance never seen.
func TestSuggestedNames(t *testing.T) {
	allow, deny := policy.ModeAllow, policy.ModeDeny
	for _, c := range []struct {
		name    string
		mode    policy.Mode
		list    []string
		reaches bool // instance a
	}{
		{"all", policy.ModeAll, nil, true},
		{"the zero mode", "", nil, false},
		{"an unknown mode", "some", []string{"*"}, false},
		{"nothing", allow, nil, false},
		{"anything", allow, []string{"*"}, true},
		{"its ids", allow, []string{"a/*"}, true},
		{"one of its ids", allow, []string{"a/x"}, true},
		{"another's ids", allow, []string{"b/*"}, false},
		{"any instance's", allow, []string{"*/x"}, true},
		{"its exposed names", allow, []string{"a__*"}, true},
		{"one of its exposed names", allow, []string{"a__drop_all"}, true},
		{"another's exposed names", allow, []string{"b__*", "b__x"}, false},
		{"a name anywhere", allow, []string{"read_x"}, true},
		{"names anywhere", allow, []string{"read_*"}, true},
		{"a suffix anywhere", allow, []string{"*_x"}, true},
		{"its category", allow, []string{"@tools"}, true},
		{"another category", allow, []string{"@ops"}, false},
		{"a broken pattern", allow, []string{"["}, false},
		{"one of several", allow, []string{"b/*", "c__x", "a/y*z"}, true},
		{"denied whole", deny, []string{"a/*"}, false},
		{"denied by category", deny, []string{"@tools"}, false},
		{"another denied", deny, []string{"b/*", "b__*"}, true},
		{"one denied", deny, []string{"a/x"}, true},
	} {
		s := unlimited()
		s.Policy.AllowlistMode, s.Policy.ToolAllowlist = c.mode, c.list
		g := policy.Compile(s)
		if got := reaches(g, "a"); got != c.reaches {
			t.Errorf("%s: %v", c.name, got)
		}
		under := policy.Compile(unlimited(), s)
		if got := reaches(under, "a"); got != c.reaches {
			t.Errorf("%s, of the parent: %v", c.name, got)
		}
	}
	var none *policy.Grant
	if len(none.SuggestedNames())+len(new(policy.Grant).SuggestedNames()) != 0 {
		t.Error("no grant suggests names")
	}
}

func unlimited() policy.Subject {
	s := policy.Subject{Scope: policy.ScopeFull, Enabled: true, TenantMCPEnabled: true}
	s.Policy = policy.Policy{Active: true, Preset: policy.PresetFullAccess, AllowlistMode: policy.ModeAll,
		Permissions: policy.Unlimited(), ProjectIDs: policy.Unlimited(), InstanceIDs: policy.Unlimited()}
	return s
}

func reaches(g *policy.Grant, slug string) bool {
	return slices.ContainsFunc(g.SuggestedNames(), func(name string) bool {
		tool := policy.Tool{ID: slug + "/" + name, Name: slug + "__" + name, Category: "tools",
			Effect: policy.EffectRead, InstanceID: "i", ProjectID: "p"}
		return g.Decide(nil, &tool, time.Time{}).Allowed()
	})
}
