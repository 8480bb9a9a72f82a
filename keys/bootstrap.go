package keys

import (
	"context"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

const defaultSlug = "default"

// Bootstrap makes, on an empty store, the tenant "default" with a project
// "default" and the first key, and answers its plaintext; on any other store
// it answers "" and changes nothing. Of several processes at once exactly one
// gets the key.
func (s *Service) Bootstrap(ctx context.Context) (Secret, error) {
	var empty bool
	err := s.cfg.Store.Read(ctx, func(r Reader) (err error) {
		empty, err = isEmpty(ctx, r)
		return err
	})
	if err != nil || !empty {
		return "", err
	}
	token, err := NewToken(s.cfg.Rand, s.cfg.TokenPrefix)
	if err != nil {
		return "", err
	}
	epoch, err := s.cfg.Store.Edit(ctx, func(w Writer) error {
		if empty, err = isEmpty(ctx, w); err != nil || !empty {
			return err
		}
		e := s.newEdit(w, "")
		e.who = Principal{&identity{kind: principalOperator, tenant: &Tenant{}}}
		return e.bootstrap(ctx, token)
	})
	if err != nil || !empty {
		return "", err
	}
	s.settle(ctx, epoch)
	return token, nil
}

func isEmpty(ctx context.Context, r Reader) (bool, error) {
	tenants, err := r.Tenants(ctx)
	return len(tenants) == 0, err
}

func (e *edit) bootstrap(ctx context.Context, token Secret) error {
	tenant, err := e.insertTenant(ctx, NewTenant{Slug: defaultSlug, Name: "Default"})
	if err != nil {
		return err
	}
	e.who = e.who.in(tenant)
	key := Key{
		TenantID: tenant.ID, Name: "first key", Handle: "first-key", Tags: []string{},
		Scope: policy.ScopeFull, Enabled: true, Source: "cli",
		Permissions: []string{"*", "manage:tenants"}, Policy: policy.Default(),
	}
	key.Policy.Preset = policy.PresetFullAccess
	key.Policy.ReadOnly = false
	e.action = "key.create"
	return e.insertKey(ctx, &key, token)
}
