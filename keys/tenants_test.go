package keys_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

func TestTenants(t *testing.T) {
	h := newHouse(t)
	tenant, err := h.svc.CreateTenant(h.ctx, h.first, keys.NewTenant{Name: "Acme, Inc."})
	if err != nil || tenant.Slug != "acme-inc" || !tenant.MCPEnabled {
		t.Fatalf("%+v, %v", tenant, err)
	}
	op, err := h.svc.Operator(h.ctx, "acme-inc")
	if err != nil || op.TenantID() != tenant.ID || !op.IsOperator() {
		t.Fatalf("%+v, %v", op, err)
	}
	if projects, err := h.svc.Projects(h.ctx, op); err != nil || len(projects) != 1 || projects[0].Slug != "default" {
		t.Errorf("%+v, %v", projects, err)
	}
	if events, err := h.svc.AuditEvents(h.ctx, op, keys.AuditQuery{}); err != nil || len(events) != 2 {
		t.Errorf("the new tenant's trail: %+v, %v", events, err)
	}
	if _, err := h.svc.CreateTenant(h.ctx, h.op, keys.NewTenant{Name: "x", Slug: "acme-inc"}); !isConflict(err) {
		t.Errorf("taken slug: %v", err)
	}
	if err := errOf(h.svc.CreateTenant(h.ctx, h.op, keys.NewTenant{Name: "", Slug: "A b"})); !slices.Equal(fieldsOf(err), []string{"name", "slug"}) {
		t.Errorf("%v", err)
	}
	if _, err := h.svc.Operator(h.ctx, "nowhere"); !errors.Is(err, keys.ErrNotFound) {
		t.Error(err)
	}
}

// The platform's operator lists and makes tenants, and may do nothing within one.
func TestPlatformOperator(t *testing.T) {
	h := newHouse(t)
	p := h.svc.PlatformOperator()
	if _, err := h.svc.CreateTenant(h.ctx, p, keys.NewTenant{Name: "Second"}); err != nil {
		t.Fatal(err)
	}
	if all, err := h.svc.Tenants(h.ctx, p); err != nil || len(all) != 2 {
		t.Errorf("%+v, %v", all, err)
	}
	if p.IsOperator() || p.TenantID() != "" || p.Actor() != "operator" {
		t.Errorf("%+v", p)
	}
	denied := map[string]error{
		"keys list":     func() error { _, _, err := h.svc.Keys(h.ctx, p, keys.KeyQuery{}); return err }(),
		"key create":    errOf(h.svc.CreateKey(h.ctx, p, keys.NewKey{Name: "x"})),
		"projects list": errOf(h.svc.Projects(h.ctx, p)),
		"instances":     errOf(h.svc.Instances(h.ctx, p)),
		"create":        errOf(h.svc.CreateInstance(h.ctx, p, remote("a1"))),
		"presets":       errOf(h.svc.Presets(h.ctx, p)),
		"tenant update": errOf(h.svc.UpdateTenant(h.ctx, p, keys.TenantPatch{Name: keys.Some("x")})),
		"audit":         errOf(h.svc.AuditEvents(h.ctx, p, keys.AuditQuery{})),
	}
	for name, err := range denied {
		var permission *keys.PermissionError
		if !errors.As(err, &permission) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := h.svc.Refresh(h.ctx, p); !errors.Is(err, keys.ErrUnauthenticated) {
		t.Errorf("refreshed: %v", err)
	}
}

// Another tenant's things are like things that do not exist.
func TestForeignIsLikeUnknown(t *testing.T) {
	h := newHouse(t)
	other := h.otherTenant("elsewhere")
	k := h.mint(other, keys.NewKey{Name: "k"}).Key
	i, err := h.svc.CreateInstance(h.ctx, other, remote("a1"))
	if err != nil {
		t.Fatal(err)
	}
	s, ctx, p := h.svc, h.ctx, h.first
	for _, id := range []string{"nothing", "", k.ID, i.ID, i.ProjectID} {
		for name, err := range map[string]error{
			"Key": errOf(s.Key(ctx, p, id)), "FindKey": errOf(s.FindKey(ctx, p, id)),
			"UpdateKey": errOf(s.UpdateKey(ctx, p, id, keys.KeyPatch{})), "ToggleKey": errOf(s.ToggleKey(ctx, p, id, 0)),
			"RotateKey": errOf(s.RotateKey(ctx, p, id, keys.Rotation{})), "RevokeKey": errOf(s.RevokeKey(ctx, p, id, keys.Revocation{})),
			"Project": errOf(s.Project(ctx, p, id)), "DeleteProject": s.DeleteProject(ctx, p, id),
			"UpdateProject": errOf(s.UpdateProject(ctx, p, id, keys.ProjectPatch{})),
			"Instance":      errOf(s.Instance(ctx, p, id)), "DeleteInstance": s.DeleteInstance(ctx, p, id),
			"UpdateInstance": errOf(s.UpdateInstance(ctx, p, id, keys.InstanceSpec{})),
		} {
			if err != keys.ErrNotFound && (err == nil || err.Error() != keys.ErrNotFound.Error()) {
				t.Errorf("%s of %q: %v", name, id, err)
			}
		}
		for name, n := range map[string]keys.NewKey{
			"projectId": {ProjectID: id + "?"}, "parentKeyId": {ParentKeyID: id + "?"},
			"mcpProjectIds":  {PolicyPatch: keys.PolicyPatch{MCPProjectIDs: keys.Some(policy.Only(id))}},
			"mcpInstanceIds": {PolicyPatch: keys.PolicyPatch{MCPInstanceIDs: keys.Some(policy.Only(id))}},
		} {
			n.Name = "x"
			if id != "" && n.ProjectID != "" {
				n.ProjectID = id
			}
			if id != "" && n.ParentKeyID != "" {
				n.ParentKeyID = id
			}
			if err := errOf(s.CreateKey(ctx, p, n)); !slices.Equal(fieldsOf(err), []string{name}) || !isInvalid(err) {
				t.Errorf("%s %q: %v", name, id, err)
			}
		}
	}
}

func TestWideningATenantAndPresets(t *testing.T) {
	h := newHouse(t)
	limited := h.as(keys.NewKey{Permissions: keys.Some([]string{"manage:tenant", "manage:presets"})})
	wide := h.as(keys.NewKey{Permissions: keys.Some([]string{"manage:tenant", "manage:presets"}), PolicyPatch: full()})
	set := func(p keys.Principal, on bool) error {
		return errOf(h.svc.UpdateTenant(h.ctx, p, keys.TenantPatch{MCPEnabled: keys.Some(on)}))
	}
	if err := set(limited, false); err != nil {
		t.Errorf("switching off: %v", err)
	}
	if err := set(limited, true); !slices.Equal(fieldsOf(err), []string{"mcpEnabled"}) {
		t.Errorf("switching on by a limited key: %v", err)
	}
	if err := set(wide, true); err != nil {
		t.Errorf("switching on: %v", err)
	}
	preset := func(effect policy.Effect, categories ...string) keys.NewPreset {
		return keys.NewPreset{Name: "mine", Permissions: categories, MaxEffect: effect}
	}
	if _, err := h.svc.CreatePreset(h.ctx, limited, preset(policy.EffectWrite, "mcp:a", "mcp:b")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		to     keys.NewPreset
		fields []string
	}{
		{"narrower", preset(policy.EffectRead, "mcp:a"), nil},
		{"effect", preset(policy.EffectWrite, "mcp:a"), []string{"maxEffect"}},
		{"category", preset(policy.EffectRead, "mcp:a", "mcp:c"), []string{"permissions"}},
		{"everything", preset(policy.EffectDestructive, "mcp:*"), []string{"permissions", "maxEffect"}},
	} {
		if err := errOf(h.svc.UpdatePreset(h.ctx, limited, c.to, 0)); !slices.Equal(fieldsOf(err), c.fields) {
			t.Errorf("%s: %v %v", c.name, err, fieldsOf(err))
		}
		if c.fields != nil && errOf(h.svc.UpdatePreset(h.ctx, wide, c.to, 0)) != nil {
			t.Errorf("%s by an unrestricted key is refused", c.name)
		}
		if err := errOf(h.svc.UpdatePreset(h.ctx, limited, preset(policy.EffectRead, "mcp:a"), 0)); err != nil {
			t.Errorf("narrowing again: %v", err)
		}
	}
	h.mint(h.op, keys.NewKey{Name: "user", PolicyPatch: keys.PolicyPatch{MCPPreset: keys.Some("mine")}})
	if err := h.svc.DeletePreset(h.ctx, wide, "mine"); !isConflict(err) {
		t.Errorf("deleting one in use: %v", err)
	}
	for name, bad := range map[string]keys.NewPreset{
		"reserved": {Name: "read_only", MaxEffect: policy.EffectRead}, "name": {Name: "A b", MaxEffect: policy.EffectRead},
		"effect": {Name: "x"}, "category": {Name: "x", Permissions: []string{"search"}, MaxEffect: policy.EffectRead},
	} {
		if err := errOf(h.svc.CreatePreset(h.ctx, wide, bad)); !isInvalid(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A key that is confined to a project sees nothing outside of it, and holds
// only permissions that mean something within.
func TestConfinedKey(t *testing.T) {
	h := newHouse(t)
	mine, other := h.project("mine"), h.project("other")
	inMine := h.instance("in-mine", func(s *keys.InstanceSpec) { s.ProjectID = keys.Some(mine.ID) })
	inOther := h.instance("in-other", func(s *keys.InstanceSpec) { s.ProjectID = keys.Some(other.ID) })
	for _, permission := range []string{"*", "view:api-keys", "manage:tenant", "view:audit", "manage:tenants"} {
		n := keys.NewKey{Name: "x", ProjectID: mine.ID, Permissions: keys.Some([]string{permission})}
		if err := errOf(h.svc.CreateKey(h.ctx, h.op, n)); !slices.Equal(fieldsOf(err), []string{"permissions"}) {
			t.Errorf("%s beside a projectId: %v", permission, err)
		}
	}
	k := h.mint(h.op, keys.NewKey{Name: "k", ProjectID: mine.ID, Permissions: keys.Some([]string{"manage:projects", "manage:instances"}), PolicyPatch: full()})
	p := h.login(k.Secret)
	if err := errOf(h.svc.UpdateKey(h.ctx, h.op, k.Key.ID, keys.KeyPatch{Permissions: keys.Some([]string{"*"})})); !slices.Equal(fieldsOf(err), []string{"permissions"}) {
		t.Errorf("* by update: %v", err)
	}
	if list, err := h.svc.Projects(h.ctx, p); err != nil || len(list) != 1 || list[0].ID != mine.ID {
		t.Errorf("projects %+v, %v", list, err)
	}
	if list, err := h.svc.Instances(h.ctx, p); err != nil || len(list) != 1 || list[0].ID != inMine.ID {
		t.Errorf("instances %+v, %v", list, err)
	}
	for name, err := range map[string]error{
		"project": errOf(h.svc.Project(h.ctx, p, other.ID)), "by slug": errOf(h.svc.Project(h.ctx, p, "other")),
		"instance": errOf(h.svc.Instance(h.ctx, p, inOther.ID)), "its slug": errOf(h.svc.Instance(h.ctx, p, "in-other")),
		"delete": h.svc.DeleteInstance(h.ctx, p, inOther.ID),
	} {
		if !errors.Is(err, keys.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := errOf(h.svc.CreateProject(h.ctx, p, keys.NewProject{Name: "new"})); !isDenied(err) {
		t.Errorf("a project of its own: %v", err)
	}
	elsewhere := remote("x")
	elsewhere.ProjectID = keys.Some(other.ID)
	if err := errOf(h.svc.CreateInstance(h.ctx, p, elsewhere)); !slices.Equal(fieldsOf(err), []string{"projectId"}) || !isInvalid(err) {
		t.Errorf("an instance elsewhere: %v", err)
	}
	if i, err := h.svc.CreateInstance(h.ctx, p, remote("y")); err != nil || i.ProjectID != mine.ID {
		t.Errorf("an instance within: %+v, %v", i, err)
	}
}

// Whoever may view the trail sees more once it keeps arguments, so that switching it
// on takes a policy without limits; it is a change like others.
func TestAuditArgumentsOfATenant(t *testing.T) {
	h := newHouse(t)
	limited := h.as(keys.NewKey{Permissions: keys.Some([]string{"manage:tenant"})})
	viewer := h.as(keys.NewKey{Permissions: keys.Some([]string{"view:tenant"}), PolicyPatch: full()})
	wide := h.as(keys.NewKey{Permissions: keys.Some([]string{"manage:tenant"}), PolicyPatch: full()})
	set := func(p keys.Principal, o keys.Opt[bool]) error {
		return errOf(h.svc.UpdateTenant(h.ctx, p, keys.TenantPatch{AuditArguments: o}))
	}
	if h.first.AuditsArguments() || (keys.Principal{}).AuditsArguments() {
		t.Error("a new tenant keeps arguments, or nobody's does")
	}
	if err := set(limited, keys.Some(true)); !slices.Equal(fieldsOf(err), []string{"auditArguments"}) {
		t.Errorf("switched on by a limited key: %v", err)
	}
	var permission *keys.PermissionError
	if err := set(viewer, keys.Some(true)); !errors.As(err, &permission) {
		t.Errorf("switched on without manage:tenant: %v", err)
	}
	for _, step := range []struct {
		by     keys.Principal
		to     keys.Opt[bool]
		on     bool
		detail string
	}{
		{wide, keys.Some(true), true, `{"after":{"auditArguments":true},"before":{"auditArguments":false}}`},
		{limited, keys.Null[bool](), false, `{"after":{"auditArguments":false},"before":{"auditArguments":true}}`},
		{h.op, keys.Some(true), true, `{"after":{"auditArguments":true},"before":{"auditArguments":false}}`},
		{limited, keys.Some(false), false, `{"after":{"auditArguments":false},"before":{"auditArguments":true}}`},
	} {
		if err := set(step.by, step.to); err != nil {
			t.Fatalf("%+v: %v", step.to, err)
		}
		if got, err := h.svc.Tenant(h.ctx, h.op); err != nil || got.AuditArguments != step.on {
			t.Errorf("%+v: %+v, %v", step.to, got, err)
		}
		if e := h.lastEvent(h.op); e.Action != "tenant.update" || e.Actor != step.by.Actor() || string(e.Detail) != step.detail {
			t.Errorf("%+v: recorded as %+v %s", step.to, e, e.Detail)
		}
	}
}
