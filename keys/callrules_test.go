package keys_test

import (
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

var (
	someArguments = []policy.ArgumentRule{{Tool: "notes/*", Pointer: "/folder", Allow: []string{"team-*"}}}
	someApprovals = []policy.ApprovalRule{{Tool: "*", Effect: policy.EffectDestructive}}
	someLimits    = []policy.RateLimit{{Tool: "*", Requests: 10, Per: policy.PerMinute}}
)

func wide() keys.PolicyPatch {
	return keys.PolicyPatch{MCPReadOnly: keys.Some(false), MCPPreset: keys.Some(policy.PresetFullAccess)}
}

// What is demanded of a key's calls is demanded of those of each key that it makes.
func TestRulesOfCallsAreHandedOn(t *testing.T) {
	h := newHouse(t)
	pp := wide()
	pp.MCPArgumentRules, pp.MCPApprovals = keys.Some(someArguments), keys.Some(someApprovals)
	maker := h.manager(pp)
	made := h.mint(maker, keys.NewKey{Name: "silent"}).Key
	if !reflect.DeepEqual(made.Policy.ArgumentRules, someArguments) || !slices.Equal(made.Policy.Approvals, someApprovals) {
		t.Errorf("a key that says nothing has %+v, %+v", made.Policy.ArgumentRules, made.Policy.Approvals)
	}
	for field, patch := range map[string]keys.PolicyPatch{
		"mcpArgumentRules": {MCPArgumentRules: keys.Some([]policy.ArgumentRule{})},
		"mcpApprovals":     {MCPApprovals: keys.Some([]policy.ApprovalRule{})},
	} {
		err := errOf(h.svc.CreateKey(h.ctx, maker, keys.NewKey{Name: "free", PolicyPatch: patch}))
		if !slices.Equal(fieldsOf(err), []string{field}) {
			t.Errorf("a new key without %s: %v", field, err)
		}
		err = errOf(h.svc.UpdateKey(h.ctx, maker, made.ID, keys.KeyPatch{PolicyPatch: patch}))
		if !slices.Equal(fieldsOf(err), []string{field}) {
			t.Errorf("an edit without %s: %v", field, err)
		}
	}
	more := append(slices.Clone(someArguments), policy.ArgumentRule{Tool: "*", Pointer: "/x", Allow: []string{}})
	if err := errOf(h.svc.UpdateKey(h.ctx, maker, made.ID, keys.KeyPatch{PolicyPatch: keys.PolicyPatch{MCPArgumentRules: keys.Some(more)}})); err != nil {
		t.Errorf("one rule more: %v", err)
	}
}

// A key whose calls are counted makes only keys whose calls count as its own.
func TestLimitedKeysMakeChildrenOnly(t *testing.T) {
	h := newHouse(t)
	pp := wide()
	pp.MCPLimits = keys.Some(someLimits)
	maker := h.manager(pp)
	child := h.mint(maker, keys.NewKey{Name: "child"}).Key
	if child.ParentKeyID != maker.KeyID() || !slices.Equal(child.Policy.Limits, someLimits) {
		t.Errorf("made a key of parent %q with %+v", child.ParentKeyID, child.Policy.Limits)
	}
	grandchild := h.mint(maker, keys.NewKey{Name: "grandchild", ParentKeyID: child.ID}).Key
	limits := keys.PolicyPatch{MCPLimits: keys.Some(someLimits)}
	sibling := h.mint(h.op, keys.NewKey{Name: "sibling", PolicyPatch: limits}).Key
	for name, err := range map[string]error{
		"a child of another": errOf(h.svc.CreateKey(h.ctx, maker, keys.NewKey{Name: "x", ParentKeyID: sibling.ID})),
		"another's secret":   errOf(h.svc.RotateKey(h.ctx, maker, sibling.ID, keys.Rotation{})),
	} {
		var denied *keys.PermissionError
		if !errors.As(err, &denied) || !slices.Equal(fieldsOf(err), []string{"mcpLimits"}) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, err := range map[string]error{
		"its grandchild's secret": errOf(h.svc.RotateKey(h.ctx, maker, grandchild.ID, keys.Rotation{})),
		"to narrow another":       errOf(h.svc.UpdateKey(h.ctx, maker, sibling.ID, keys.KeyPatch{Enabled: keys.Some(false)})),
		"to revoke another":       errOf(h.svc.RevokeKey(h.ctx, maker, sibling.ID, keys.Revocation{})),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A draft is checked as a policy is, and completed from the key's own.
func TestShadow(t *testing.T) {
	h := newHouse(t)
	pp := wide()
	k := h.mint(h.op, keys.NewKey{Name: "k", PolicyPatch: pp,
		MCPShadow: keys.Some(keys.PolicyPatch{MCPReadOnly: keys.Some(true)})}).Key
	want := k.Policy
	want.ReadOnly = true
	if k.Shadow == nil || !k.Shadow.Equal(want) {
		t.Errorf("the draft is %+v, want %+v", k.Shadow, want)
	}
	update := func(patch keys.KeyPatch) (keys.Key, error) { return h.svc.UpdateKey(h.ctx, h.op, k.ID, patch) }
	if _, err := update(keys.KeyPatch{MCPShadow: keys.Some(keys.PolicyPatch{MCPPreset: keys.Some("nope")})}); !slices.Equal(fieldsOf(err), []string{"mcpShadow.mcpPreset"}) {
		t.Errorf("a draft with an unknown preset: %v", err)
	}
	if got, err := update(keys.KeyPatch{Name: keys.Some("renamed")}); err != nil || got.Shadow == nil {
		t.Errorf("an edit of something else: %+v, %v", got.Shadow, err)
	}
	if got, err := update(keys.KeyPatch{MCPShadow: keys.Null[keys.PolicyPatch]()}); err != nil || got.Shadow != nil {
		t.Errorf("no draft: %+v, %v", got.Shadow, err)
	}
}
