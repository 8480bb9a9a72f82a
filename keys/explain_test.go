package keys_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// TestStandingAtATime: the clock of the decision is the question's, for the key
// and for its ancestors.
func TestStandingAtATime(t *testing.T) {
	h := newHouse(t)
	now := h.clock.Now()
	later, latest := now.Add(time.Hour), now.Add(2*time.Hour)
	parent := h.mint(h.op, keys.NewKey{ExpiresAt: &later}).Key
	child := h.mint(h.op, keys.NewKey{ParentKeyID: parent.ID, ExpiresAt: &later}).Key
	for at, want := range map[time.Time]bool{{}: true, now: true, later.Add(-time.Microsecond): true, later: false, latest: false, now.Add(-time.Hour): true} {
		for _, id := range []string{parent.ID, child.Handle} {
			st, err := h.svc.Standing(h.ctx, h.op, keys.Question{Key: id, At: at})
			if err != nil {
				t.Fatal(err)
			}
			if got := st.Grant.DecideKey(st.At).Allowed(); got != want || !at.IsZero() && !st.At.Equal(at) {
				t.Errorf("%s at %v, which is %v: %v", id, at, st.At, got)
			}
		}
	}
	if _, err := h.svc.Standing(h.ctx, h.op, keys.Question{Key: parent.ID, At: time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC)}); !slices.Equal(fieldsOf(err), []string{"at"}) {
		t.Errorf("a year that can't be written: %v", err)
	}
}

// TestDraft: a draft is decided as the key would be decided with it, is refused
// as the write would be, and is never written.
func TestDraft(t *testing.T) {
	h := newHouse(t)
	instance := h.instance("a")
	parent := h.mint(h.op, keys.NewKey{PolicyPatch: keys.PolicyPatch{MCPReadOnly: keys.Some(true)}}).Key
	child := h.mint(h.op, keys.NewKey{ParentKeyID: parent.ID, Permissions: keys.Some([]string{"view:audit"})}).Key
	epoch, err := h.store.Epoch(h.ctx)
	if err != nil {
		t.Fatal(err)
	}
	tool := policy.Tool{ID: "a/drop", Name: "a__drop", Category: "tools", Effect: policy.EffectDestructive, WriteEnabled: true,
		InstanceID: instance.ID, ProjectID: instance.ProjectID}
	builtin := policy.Tool{ID: "bailiwick/list_audit_events", Name: "list_audit_events", Category: "audit", Effect: policy.EffectRead, Permission: "view:audit"}
	for name, c := range map[string]struct {
		q      keys.Question
		tool   *policy.Tool
		failed []policy.Rule
	}{
		"a new key":               {keys.Question{}, &tool, []policy.Rule{policy.RulePreset, policy.RuleReadOnly}},
		"a new key of full":       {keys.Question{Draft: &keys.Draft{PolicyPatch: full()}}, &tool, nil},
		"below its ancestor":      {keys.Question{Key: child.ID, Draft: &keys.Draft{PolicyPatch: full()}}, &tool, []policy.Rule{policy.RulePreset, policy.RuleReadOnly}},
		"a new key's scope":       {keys.Question{Draft: &keys.Draft{PolicyPatch: full(), Scope: keys.Some(policy.ScopeAPI)}}, &tool, []policy.Rule{policy.RuleScope}},
		"a new key's permissions": {keys.Question{Draft: &keys.Draft{PolicyPatch: full(), Permissions: keys.Some([]string{"view:audit"})}}, &builtin, nil},
		"a new key without them":  {keys.Question{Draft: &keys.Draft{PolicyPatch: full()}}, &builtin, []policy.Rule{policy.RulePermission}},
		"the key's own stay":      {keys.Question{Key: parent.ID, Draft: &keys.Draft{PolicyPatch: keys.PolicyPatch{MCPActive: keys.Some(false)}}}, &tool, []policy.Rule{policy.RulePaused, policy.RulePreset, policy.RuleReadOnly}},
		"an instance": {keys.Question{Draft: &keys.Draft{PolicyPatch: keys.PolicyPatch{MCPPreset: keys.Some("full_access"), MCPReadOnly: keys.Some(false),
			MCPInstanceIDs: keys.Some(policy.Only(instance.ID))}}}, &tool, nil},
	} {
		st, err := h.svc.Standing(h.ctx, h.op, c.q)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if d, _ := st.Explain(&keys.Offered{Kind: keys.KindTool, Tool: *c.tool}); !slices.Equal(d.Failed(), append([]policy.Rule{}, c.failed...)) {
			t.Errorf("%s: %v", name, d.Failed())
		}
	}
	bad := keys.PolicyPatch{MCPPreset: keys.Some("nope"), MCPAllowlistMode: keys.Some(policy.Mode("x")), MCPToolAllowlist: keys.Some([]string{"a?"}),
		MCPPermissions: keys.Some(policy.Only("x")), MCPProjectIDs: keys.Some(policy.Only("nowhere")), MCPInstanceIDs: keys.Some(policy.Only("nowhere"))}
	_, written := h.svc.UpdateKey(h.ctx, h.op, child.ID, keys.KeyPatch{PolicyPatch: bad, Permissions: keys.Some([]string{"x"})})
	_, asked := h.svc.Standing(h.ctx, h.op, keys.Question{Key: child.ID, Draft: &keys.Draft{PolicyPatch: bad, Permissions: keys.Some([]string{"x"})}})
	if !reflect.DeepEqual(details(asked), details(written)) || len(details(asked)) < 6 {
		t.Errorf("asked %v, written %v", details(asked), details(written))
	}
	_, asked = h.svc.Standing(h.ctx, h.op, keys.Question{Key: child.ID, Draft: &keys.Draft{Scope: keys.Some(policy.ScopeAPI), ProjectID: keys.Some(instance.ProjectID)}})
	if !slices.Equal(fieldsOf(asked), []string{"scope", "projectId"}) {
		t.Errorf("what never changes: %v", asked)
	}
	_, asked = h.svc.Standing(h.ctx, h.op, keys.Question{Draft: &keys.Draft{Scope: keys.Some(policy.Scope("x")), ProjectID: keys.Some("nowhere")}})
	if !slices.Equal(fieldsOf(asked), []string{"scope", "projectId"}) {
		t.Errorf("unknown ones: %v", asked)
	}
	if after, err := h.store.Epoch(h.ctx); err != nil || after != epoch {
		t.Errorf("epoch %d was %d, %v", after, epoch, err)
	}
	if k, err := h.svc.Key(h.ctx, h.op, child.ID); err != nil || !sameKey(k, child) {
		t.Errorf("the key is %+v, was %+v", k, child)
	}
}

// TestStandingIsAskedFor: it needs view:audit, and finds nothing of another tenant.
func TestStandingIsAskedFor(t *testing.T) {
	h := newHouse(t)
	key := h.mint(h.op, keys.NewKey{}).Key
	viewer := h.as(keys.NewKey{Permissions: keys.Some([]string{"view:audit"})})
	if _, err := h.svc.Standing(h.ctx, viewer, keys.Question{Key: key.ID}); err != nil {
		t.Error(err)
	}
	for _, q := range []keys.Question{{}, {Key: key.ID}, {Key: "nobody"}, {Draft: &keys.Draft{}}} {
		if _, err := h.svc.Standing(h.ctx, h.as(keys.NewKey{Permissions: keys.Some([]string{"manage:api-keys"})}), q); !isDenied(err) {
			t.Errorf("%+v: %v", q, err)
		}
	}
	other, err := h.svc.CreateTenant(h.ctx, h.svc.PlatformOperator(), keys.NewTenant{Name: "other"})
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := h.svc.Operator(h.ctx, other.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{key.ID, key.Handle, ""} {
		if _, err := h.svc.Standing(h.ctx, foreign, keys.Question{Key: name}); name != "" && !errors.Is(err, keys.ErrNotFound) || name == "" && err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestExplainedCall: an explanation says what calls must meet, and judges arguments
// where it has some; what takes none lacks them.
func TestExplainedCall(t *testing.T) {
	h := newHouse(t)
	open := full()
	open.MCPArgumentRules = keys.Some([]policy.ArgumentRule{{Tool: "a/*", Pointer: "/x", Allow: []string{"y*"}}})
	open.MCPLimits = keys.Some([]policy.RateLimit{{Tool: "a/*", Requests: 5, Per: policy.PerMinute}})
	key := h.mint(h.op, keys.NewKey{PolicyPatch: open}).Key
	for name, c := range map[string]struct {
		kind, arguments string
		allowed         bool
		lines           []string
	}{
		"no arguments":  {keys.KindTool, "", true, []string{"argument.not_allowed true", "rate.limited true"}},
		"good ones":     {keys.KindTool, `{"x": "yes"}`, true, []string{"argument.not_allowed true", "rate.limited true"}},
		"bad ones":      {keys.KindTool, `{"x": "no"}`, false, []string{"argument.not_allowed false", "rate.limited true"}},
		"a prompt's":    {keys.KindPrompt, "", true, []string{"argument.not_allowed true", "rate.limited true"}},
		"what has none": {keys.KindResource, "", false, []string{"argument.not_allowed false", "rate.limited true"}},
	} {
		q := keys.Question{Key: key.ID}
		if c.arguments != "" {
			q.Arguments = json.RawMessage(c.arguments)
		}
		st, err := h.svc.Standing(h.ctx, h.op, q)
		if err != nil {
			t.Fatal(err)
		}
		d, rules := st.Explain(&keys.Offered{Kind: c.kind, Tool: policy.Tool{ID: "a/do", Name: "a__do", Category: "tools", Effect: policy.EffectRead}})
		var lines []string
		for _, r := range rules[len(rules)-2:] {
			lines = append(lines, fmt.Sprint(r.Rule, " ", r.OK))
		}
		if d.Allowed() != c.allowed || !slices.Equal(lines, c.lines) {
			t.Errorf("%s: allowed %v, %v", name, d.Allowed(), lines)
		}
	}
}
