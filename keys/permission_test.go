package keys_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// operations are all methods that take a principal, with the permission they need.
func operations(h *house) map[string]struct {
	needs string
	call  func(ctx context.Context, p keys.Principal) error
} {
	type op = struct {
		needs string
		call  func(ctx context.Context, p keys.Principal) error
	}
	s := h.svc
	key := h.mint(h.op, keys.NewKey{Name: "target"}).Key
	preset := keys.NewPreset{Name: "target", MaxEffect: policy.EffectRead}
	if _, err := s.CreatePreset(h.ctx, h.op, preset); err != nil {
		h.t.Fatal(err)
	}
	project := h.project("target")
	h.project("spare")
	i := h.instance("target", func(s *keys.InstanceSpec) { s.ProjectID = keys.Some(project.ID) })
	login, _ := h.start()
	name := keys.Some("renamed")
	err := func(_ any, err error) error { return err }
	return map[string]op{
		"CreateKey": {"manage:api-keys", func(ctx context.Context, p keys.Principal) error {
			return err(s.CreateKey(ctx, p, keys.NewKey{Name: "new"}))
		}},
		"Key":     {"view:api-keys", func(ctx context.Context, p keys.Principal) error { return err(s.Key(ctx, p, key.ID)) }},
		"FindKey": {"view:api-keys", func(ctx context.Context, p keys.Principal) error { return err(s.FindKey(ctx, p, key.Handle)) }},
		"KeyNamed": {"view:api-keys", func(ctx context.Context, p keys.Principal) error {
			return err(s.KeyNamed(ctx, p, key.Handle, false))
		}},
		"KeyNamed to write": {"manage:api-keys", func(ctx context.Context, p keys.Principal) error {
			return err(s.KeyNamed(ctx, p, key.Handle, true))
		}},
		"Keys": {"view:api-keys", func(ctx context.Context, p keys.Principal) error {
			_, _, err := s.Keys(ctx, p, keys.KeyQuery{})
			return err
		}},
		"AllKeys": {"view:tenants", func(ctx context.Context, p keys.Principal) error {
			_, _, err := s.AllKeys(ctx, p, keys.KeyQuery{})
			return err
		}},
		"UpdateKey": {"manage:api-keys", func(ctx context.Context, p keys.Principal) error {
			return err(s.UpdateKey(ctx, p, key.ID, keys.KeyPatch{Name: name}))
		}},
		"ToggleKey": {"manage:api-keys", func(ctx context.Context, p keys.Principal) error { return err(s.ToggleKey(ctx, p, key.ID, 0)) }},
		"RotateKey": {"manage:api-keys", func(ctx context.Context, p keys.Principal) error {
			return err(s.RotateKey(ctx, p, key.ID, keys.Rotation{Grace: time.Minute}))
		}},
		"RevokeKey": {"manage:api-keys", func(ctx context.Context, p keys.Principal) error {
			return err(s.RevokeKey(ctx, p, key.ID, keys.Revocation{}))
		}},
		"CreateProject": {"manage:projects", func(ctx context.Context, p keys.Principal) error {
			return err(s.CreateProject(ctx, p, keys.NewProject{Name: "new"}))
		}},
		"Project":  {"view:projects", func(ctx context.Context, p keys.Principal) error { return err(s.Project(ctx, p, "target")) }},
		"Projects": {"view:projects", func(ctx context.Context, p keys.Principal) error { return err(s.Projects(ctx, p)) }},
		"UpdateProject": {"manage:projects", func(ctx context.Context, p keys.Principal) error {
			return err(s.UpdateProject(ctx, p, project.ID, keys.ProjectPatch{Name: name}))
		}},
		"DeleteProject": {"manage:projects", func(ctx context.Context, p keys.Principal) error { return s.DeleteProject(ctx, p, "spare") }},
		"CreateInstance": {"manage:instances", func(ctx context.Context, p keys.Principal) error {
			spec := remote("new")
			spec.ProjectID = keys.Some(project.ID)
			return err(s.CreateInstance(ctx, p, spec))
		}},
		"Instance":  {"view:instances", func(ctx context.Context, p keys.Principal) error { return err(s.Instance(ctx, p, "target")) }},
		"Instances": {"view:instances", func(ctx context.Context, p keys.Principal) error { return err(s.Instances(ctx, p)) }},
		"UpdateInstance": {"manage:instances", func(ctx context.Context, p keys.Principal) error {
			return err(s.UpdateInstance(ctx, p, i.ID, keys.InstanceSpec{Enabled: keys.Some(false)}))
		}},
		"DeleteInstance": {"manage:instances", func(ctx context.Context, p keys.Principal) error { return s.DeleteInstance(ctx, p, i.ID) }},
		"Presets":        {"view:presets", func(ctx context.Context, p keys.Principal) error { return err(s.Presets(ctx, p)) }},
		"CreatePreset": {"manage:presets", func(ctx context.Context, p keys.Principal) error {
			return err(s.CreatePreset(ctx, p, keys.NewPreset{Name: "new", MaxEffect: policy.EffectRead}))
		}},
		"UpdatePreset": {"manage:presets", func(ctx context.Context, p keys.Principal) error { return err(s.UpdatePreset(ctx, p, preset, 0)) }},
		"DeletePreset": {"manage:presets", func(ctx context.Context, p keys.Principal) error { return s.DeletePreset(ctx, p, "target") }},
		"Tenant":       {"view:tenant", func(ctx context.Context, p keys.Principal) error { return err(s.Tenant(ctx, p)) }},
		"UpdateTenant": {"manage:tenant", func(ctx context.Context, p keys.Principal) error {
			return err(s.UpdateTenant(ctx, p, keys.TenantPatch{Name: name}))
		}},
		"Tenants": {"view:tenants", func(ctx context.Context, p keys.Principal) error { return err(s.Tenants(ctx, p)) }},
		"CreateTenant": {"manage:tenants", func(ctx context.Context, p keys.Principal) error {
			return err(s.CreateTenant(ctx, p, keys.NewTenant{Name: "new"}))
		}},
		"ImportKeys": {"manage:api-keys", func(ctx context.Context, p keys.Principal) error {
			return err(s.ImportKeys(ctx, p, []keys.ImportedKey{foreign("a-token", keys.NewKey{})}))
		}},
		"LoginForApproval": {"manage:api-keys", func(ctx context.Context, p keys.Principal) error {
			return err(s.LoginForApproval(ctx, p, login.ID))
		}},
		"ApproveLogin": {"manage:api-keys", func(ctx context.Context, p keys.Principal) error {
			_, _, err := s.ApproveLogin(ctx, p, login.ID, keys.Approval{})
			return err
		}},
		"DenyLogin": {"manage:api-keys", func(ctx context.Context, p keys.Principal) error { return s.DenyLogin(ctx, p, login.ID) }},
		"RevokeAnyKey": {"manage:tenants", func(ctx context.Context, p keys.Principal) error {
			return err(s.RevokeAnyKey(ctx, p, key.ID, keys.Revocation{}))
		}},
		"TenantByID": {"view:tenants", func(ctx context.Context, p keys.Principal) error { return err(s.TenantByID(ctx, p, "default")) }},
		"UpdateAnyTenant": {"manage:tenants", func(ctx context.Context, p keys.Principal) error {
			return err(s.UpdateAnyTenant(ctx, p, "default", keys.TenantPatch{Name: name}))
		}},
		"AuditEvents": {"view:audit", func(ctx context.Context, p keys.Principal) error {
			return err(s.AuditEvents(ctx, p, keys.AuditQuery{}))
		}},
	}
}

// Each operation is denied to nobody and to every single permission but the one
// that it needs (and its manage), and allowed to that.
func TestPermissionOfEachOperation(t *testing.T) {
	names := operations(newHouse(t))
	if len(names) < 35 {
		t.Fatalf("only %d operations", len(names))
	}
	for name := range names {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			op := operations(h)[name]
			if err := op.call(h.ctx, keys.Principal{}); !errors.Is(err, keys.ErrUnauthenticated) {
				t.Errorf("nobody: %v", err)
			}
			_, resource, _ := strings.Cut(op.needs, ":")
			enough := []string{op.needs, "manage:" + resource}
			before := h.epoch()
			for _, permission := range append(policy.KnownPermissions(), "") {
				if slices.Contains(enough, permission) || permission == "*" && resource != "tenants" {
					continue
				}
				p := h.as(keys.NewKey{Permissions: keys.Some(slices.DeleteFunc([]string{permission}, func(s string) bool { return s == "" }))})
				before++
				err := op.call(h.ctx, p)
				var denied *keys.PermissionError
				if !errors.As(err, &denied) || denied.Needed != op.needs {
					t.Errorf("with %q: %v", permission, err)
				}
			}
			if now := h.epoch(); now != before {
				t.Errorf("denied operations changed something: epoch %d, want %d", now, before)
			}
			p := h.as(keys.NewKey{Permissions: keys.Some([]string{op.needs}), PolicyPatch: full()})
			if err := op.call(h.ctx, p); err != nil {
				t.Errorf("with %s: %v %v", op.needs, err, details(err))
			}
		})
	}
}

func (h *house) epoch() int64 {
	h.t.Helper()
	epoch, err := h.store.Epoch(h.ctx)
	if err != nil {
		h.t.Fatal(err)
	}
	return epoch
}

func TestDenialsAreRecorded(t *testing.T) {
	h := newHouse(t)
	p := h.as(keys.NewKey{Name: "powerless"})
	if _, err := h.svc.CreateKey(h.ctx, p, keys.NewKey{Name: "x"}); !isDenied(err) {
		t.Fatal(err)
	}
	h.runOnce(h.svc)
	events, err := h.svc.AuditEvents(h.ctx, h.op, keys.AuditQuery{Decision: "deny"})
	if err != nil || len(events) != 1 || events[0].Action != "key.create" || events[0].KeyID != p.KeyID() {
		t.Errorf("events %+v, %v", events, err)
	}
}

// runOnce runs the service until all that waits is written.
func (h *house) runOnce(svc *keys.Service) {
	h.t.Helper()
	ctx, cancel := context.WithCancel(h.ctx)
	cancel()
	if err := svc.Run(ctx); err != nil {
		h.t.Fatal(err)
	}
}

// A principal whose key was revoked or narrowed meanwhile can't edit with what
// it had.
func TestEditReadsRightsAgain(t *testing.T) {
	h := newHouse(t)
	p := h.manager(full())
	narrow := func(patch keys.KeyPatch) {
		t.Helper()
		if _, err := h.svc.UpdateKey(h.ctx, h.op, p.KeyID(), patch); err != nil {
			t.Fatal(err)
		}
	}
	wide := keys.NewKey{Name: "wide", PolicyPatch: full()}
	h.mint(p, wide)
	narrow(keys.KeyPatch{PolicyPatch: keys.PolicyPatch{MCPReadOnly: keys.Some(true)}})
	if _, err := h.svc.CreateKey(h.ctx, p, wide); !isDenied(err) {
		t.Errorf("narrowed meanwhile: %v", err)
	}
	narrow(keys.KeyPatch{Permissions: keys.Some([]string{"view:api-keys"})})
	if _, err := h.svc.CreateKey(h.ctx, p, keys.NewKey{Name: "x"}); !isDenied(err) {
		t.Errorf("permission taken meanwhile: %v", err)
	}
	for name, end := range map[string]func(p keys.Principal) error{
		"revoked": func(p keys.Principal) error {
			_, err := h.svc.RevokeKey(h.ctx, h.op, p.KeyID(), keys.Revocation{})
			return err
		},
		"rotated": func(p keys.Principal) error {
			_, err := h.svc.RotateKey(h.ctx, h.op, p.KeyID(), keys.Rotation{})
			return err
		},
		"disabled": func(p keys.Principal) error {
			_, err := h.svc.UpdateKey(h.ctx, h.op, p.KeyID(), keys.KeyPatch{Enabled: keys.Some(false)})
			return err
		},
	} {
		p := h.manager(full())
		if err := end(p); err != nil {
			t.Fatal(err)
		}
		if _, err := h.svc.CreateKey(h.ctx, p, keys.NewKey{Name: "x"}); !errors.Is(err, keys.ErrBadCredential) {
			t.Errorf("%s meanwhile: %v", name, err)
		}
	}
}
