package keys_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// aTool is one on offer at an instance.
func aTool(i keys.Instance, kind, name string, effect policy.Effect) keys.Offered {
	return keys.Offered{Kind: kind, Tool: policy.Tool{ID: i.Slug + "/" + name, Name: i.Slug + "__" + name, Category: "tools", Effect: effect,
		InstanceID: i.ID, ProjectID: i.ProjectID, WriteEnabled: true}}
}

// Requests for one thing are told together, the newest three of them by name.
func TestDryRunPutsRequestsTogether(t *testing.T) {
	h := newHouse(t)
	notes := h.instance("notes")
	k := h.mint(h.op, keys.NewKey{Name: "k", PolicyPatch: full()}).Key
	offer := keys.NewOffer([]keys.Offered{aTool(notes, keys.KindTool, "drop", policy.EffectDestructive), aTool(notes, keys.KindPrompt, "drop", policy.EffectRead)})
	var entries []keys.AuditEntry
	for n, action := range []string{"prompts/get", "completion/complete", "prompts/get", "completion/complete", "tools/call", "tasks/get", "tasks/get", "resources/read"} {
		entries = append(entries, keys.AuditEntry{ID: fmt.Sprintf("e%d", n), Writer: "w", TenantID: h.op.TenantID(), Kind: "call", Decision: "allow",
			Action: action, KeyID: k.ID, Subject: "notes/drop", Tool: "notes__drop", Time: h.clock.Now().Add(time.Duration(n-10) * time.Minute)})
	}
	entries[5].Tool, entries[6].Subject, entries[6].Tool = "", "", "4f9f" // the second names a task that nobody knew
	if err := h.store.AppendAudit(h.ctx, entries); err != nil {
		t.Fatal(err)
	}
	patch := keys.KeyPatch{PolicyPatch: keys.PolicyPatch{MCPAllowlistMode: keys.Some(policy.ModeDeny), MCPToolAllowlist: keys.Some([]string{"drop"})}}
	effects, err := h.svc.DryRunUpdate(h.ctx, h.op, k.ID, patch, offer, 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(effects.NewlyDenied) != 2 || len(effects.NewlyAllowed) != 0 || effects.NotInCatalog != 1 {
		t.Fatalf("%+v", effects)
	}
	for i, want := range []struct {
		kind     string
		count    int
		examples []string
		last     time.Time
	}{{keys.KindPrompt, 4, []string{"e3", "e2", "e1"}, entries[3].Time}, {keys.KindTool, 2, []string{"e5", "e4"}, entries[5].Time}} {
		got, ids := effects.NewlyDenied[i], []string{}
		for _, e := range got.Examples {
			ids = append(ids, e.ID)
		}
		if got.Kind != want.kind || got.Count != want.count || !slices.Equal(ids, want.examples) || !got.Last().Equal(want.last) || !slices.Equal(got.Failed, []policy.Rule{policy.RuleAllowlist}) {
			t.Errorf("entry %d: %+v", i, got)
		}
	}
	if want := []string{"mcpAllowlistMode", "mcpToolAllowlist"}; !slices.Equal(effects.Fields, want) {
		t.Errorf("fields %v, want %v", effects.Fields, want)
	}
}

// Who may change a key, and may not look at instances or the audit trail, learns
// by a dry run of nothing that its own key does not show it.
func TestDryRunTellsOnlyWhatMayBeKnown(t *testing.T) {
	h := newHouse(t)
	notes, hidden := h.instance("notes"), h.instance("hidden")
	offer := keys.NewOffer([]keys.Offered{aTool(notes, keys.KindTool, "get", policy.EffectRead), aTool(hidden, keys.KindTool, "get", policy.EffectRead)})
	k := h.mint(h.op, keys.NewKey{Name: "k", PolicyPatch: full()}).Key
	child := h.mint(h.op, keys.NewKey{Name: "child", ParentKeyID: k.ID, PolicyPatch: full()}).Key
	entry := keys.AuditEntry{ID: "e", Writer: "w", TenantID: h.op.TenantID(), Kind: "call", Decision: "allow",
		Action: "tools/call", KeyID: child.ID, Subject: "hidden/get", Tool: "hidden__get", Time: h.clock.Now()}
	if err := h.store.AppendAudit(h.ctx, []keys.AuditEntry{entry}); err != nil {
		t.Fatal(err)
	}
	none := keys.KeyPatch{PolicyPatch: keys.PolicyPatch{MCPInstanceIDs: keys.Some(policy.Only())}}
	onlyHidden := keys.KeyPatch{PolicyPatch: keys.PolicyPatch{MCPInstanceIDs: keys.Some(policy.Only(notes.ID))}}
	for _, c := range []struct {
		name              string
		permissions       []string
		patch             keys.KeyPatch
		removed           []string
		children, denied  int
		partial, replayed bool
	}{
		{"neither", nil, none, []string{"tool notes/get"}, 1, 0, true, false},
		{"neither, of what is hidden", nil, onlyHidden, []string{}, 0, 0, true, false},
		{"instances", []string{"view:instances"}, none, []string{"tool hidden/get", "tool notes/get"}, 1, 0, false, false},
		{"the audit trail", []string{"view:audit"}, none, []string{"tool hidden/get", "tool notes/get"}, 1, 1, false, true},
		{"the audit trail, of what is hidden", []string{"view:audit"}, onlyHidden, []string{"tool hidden/get"}, 1, 1, false, true},
	} {
		pp := full()
		pp.MCPInstanceIDs = keys.Some(policy.Only(notes.ID))
		asker := h.as(keys.NewKey{Permissions: keys.Some(append([]string{"manage:api-keys"}, c.permissions...)), PolicyPatch: pp})
		got, err := h.svc.DryRunUpdate(h.ctx, asker, k.ID, c.patch, offer, 1)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(changed(got.Removed), c.removed) || got.Children != c.children || got.Partial != c.partial ||
			got.Replayed != c.replayed || len(got.NewlyDenied) != c.denied {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

func TestDryRunLimits(t *testing.T) {
	h := newHouse(t)
	k := h.mint(h.op, keys.NewKey{Name: "k", PolicyPatch: full()}).Key
	for _, days := range []int{-1, keys.MaxUseDays + 1} {
		if _, err := h.svc.DryRunUpdate(h.ctx, h.op, k.ID, keys.KeyPatch{}, keys.Offer{}, days); !slices.Equal(fieldsOf(err), []string{"days"}) {
			t.Errorf("%d days: %v", days, err)
		}
	}
	for range keys.MaxFamily {
		h.mint(h.op, keys.NewKey{ParentKeyID: k.ID})
	}
	for _, truncated := range []bool{false, true} {
		got, err := h.svc.DryRunUpdate(h.ctx, h.op, k.ID, keys.KeyPatch{Enabled: keys.Some(false)}, keys.Offer{}, 1)
		if err != nil || got.Truncated != truncated {
			t.Errorf("truncated %t, want %t: %v", got.Truncated, truncated, err)
		}
		h.mint(h.op, keys.NewKey{ParentKeyID: k.ID})
	}
}
