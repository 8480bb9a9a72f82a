package keys_test

import (
	"slices"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

func TestJWTPolicyOfANewTenant(t *testing.T) {
	h := newHouse(t)
	tenant, err := h.svc.Tenant(h.ctx, h.op)
	p := tenant.JWTPolicy
	if err != nil || p.Active || p.ReadOnly || p.Preset != policy.PresetFullAccess || p.AllowlistMode != policy.ModeAll ||
		!p.Permissions.IsUnlimited() || !p.ProjectIDs.IsUnlimited() || !p.InstanceIDs.IsUnlimited() {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestJWTPolicyValidation(t *testing.T) {
	h := newHouse(t)
	other := h.otherTenant("elsewhere")
	foreign, err := h.svc.CreateInstance(h.ctx, other, remote("a1"))
	if err != nil {
		t.Fatal(err)
	}
	for field, pp := range map[string]keys.PolicyPatch{
		"jwtPolicy.mcpPreset":        {MCPPreset: keys.Some("nope")},
		"jwtPolicy.mcpPermissions":   {MCPPermissions: keys.Some(policy.Only("nope"))},
		"jwtPolicy.mcpAllowlistMode": {MCPAllowlistMode: keys.Some(policy.Mode("nope"))},
		"jwtPolicy.mcpToolAllowlist": {MCPToolAllowlist: keys.Some([]string{"a?"})},
		"jwtPolicy.mcpProjectIds":    {MCPProjectIDs: keys.Some(policy.Only("nope"))},
		"jwtPolicy.mcpInstanceIds":   {MCPInstanceIDs: keys.Some(policy.Only(foreign.ID))},
	} {
		err := errOf(h.svc.UpdateTenant(h.ctx, h.op, keys.TenantPatch{JWTPolicy: keys.Some(pp)}))
		if !isInvalid(err) || !slices.Equal(fieldsOf(err), []string{field}) {
			t.Errorf("%s: %v %v", field, err, fieldsOf(err))
		}
	}
}

func TestJWTPolicyChanges(t *testing.T) {
	h := newHouse(t)
	limited := h.as(keys.NewKey{Permissions: keys.Some([]string{"manage:tenant"})})
	set := func(p keys.Principal, o keys.Opt[keys.PolicyPatch]) error {
		return errOf(h.svc.UpdateTenant(h.ctx, p, keys.TenantPatch{JWTPolicy: o}))
	}
	on, off := keys.Some(keys.PolicyPatch{MCPActive: keys.Some(true)}), keys.Some(keys.PolicyPatch{MCPActive: keys.Some(false)})
	if err := set(limited, on); !slices.Equal(fieldsOf(err), []string{"jwtPolicy"}) {
		t.Errorf("opening with a limited key: %v", err)
	}
	if err := set(h.first, on); err != nil {
		t.Fatal(err)
	}
	for name, narrower := range map[string]keys.PolicyPatch{
		"preset": {MCPPreset: keys.Some("standard")}, "read-only": {MCPReadOnly: keys.Some(true)},
		"none": {MCPInstanceIDs: keys.Some(policy.Only())}, "the same": {},
	} {
		if err := set(limited, keys.Some(narrower)); err != nil {
			t.Errorf("narrowing by %s: %v", name, err)
		}
	}
	if err := set(limited, off); err != nil {
		t.Errorf("closing: %v", err)
	}
	if err := set(limited, keys.Null[keys.PolicyPatch]()); !slices.Equal(fieldsOf(err), []string{"jwtPolicy"}) {
		t.Errorf("resetting with a limited key: %v", err)
	}
	if err := set(h.first, keys.Null[keys.PolicyPatch]()); err != nil {
		t.Fatal(err)
	}
	tenant, err := h.svc.Tenant(h.ctx, h.op)
	if err != nil || tenant.JWTPolicy.Active || tenant.JWTPolicy.ReadOnly || tenant.JWTPolicy.Preset != policy.PresetFullAccess ||
		!tenant.JWTPolicy.InstanceIDs.IsUnlimited() {
		t.Errorf("reset: %+v, %v", tenant.JWTPolicy, err)
	}
	// null within it is the default of a jwtPolicy, not of a key.
	h.jwtPolicy(keys.PolicyPatch{MCPReadOnly: keys.Null[bool](), MCPPreset: keys.Null[string](), MCPActive: keys.Null[bool]()})
	if tenant, _ = h.svc.Tenant(h.ctx, h.op); tenant.JWTPolicy.Active || tenant.JWTPolicy.ReadOnly || tenant.JWTPolicy.Preset != policy.PresetFullAccess {
		t.Errorf("null: %+v", tenant.JWTPolicy)
	}
	// another field of the tenant leaves it alone, and asks for nothing
	if err := errOf(h.svc.UpdateTenant(h.ctx, limited, keys.TenantPatch{Name: keys.Some("New")})); err != nil {
		t.Error(err)
	}
}

func TestPresetInUseByJWTs(t *testing.T) {
	h := newHouse(t)
	if _, err := h.svc.CreatePreset(h.ctx, h.op, keys.NewPreset{Name: "team", Permissions: []string{"mcp:*"}, MaxEffect: policy.EffectWrite}); err != nil {
		t.Fatal(err)
	}
	h.jwtPolicy(keys.PolicyPatch{MCPPreset: keys.Some("team"), MCPActive: keys.Some(true)})
	if err := h.svc.DeletePreset(h.ctx, h.op, "team"); !isConflict(err) {
		t.Errorf("in use: %v", err)
	}
	read := &policy.Tool{ID: "a1/x", Name: "a1__x", Category: "tools", Effect: policy.EffectWrite, InstanceID: "i", ProjectID: "p", WriteEnabled: true}
	if d := h.subject().Grant().Decide(nil, read, h.clock.Now()); !d.Allowed() {
		t.Errorf("under the tenant's preset: %v", d.Failed())
	}
	h.jwtPolicy(keys.PolicyPatch{MCPPreset: keys.Some("standard")})
	if err := h.svc.DeletePreset(h.ctx, h.op, "team"); err != nil {
		t.Error(err)
	}
}
