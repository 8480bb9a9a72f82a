package keys

import "context"

// What the platform's people may do to any tenant. They need permissions on
// tenants, which * does not include; each change stands in the audit trail of
// the tenant that it is of.

// RevokeAnyKey is RevokeKey for a key of any tenant. It needs manage:tenants.
func (s *Service) RevokeAnyKey(ctx context.Context, p Principal, id string, r Revocation) (key Key, err error) {
	if err := r.check(); err != nil {
		return Key{}, err
	}
	err = s.edit(ctx, p, operation{"key.revoke", manageTenants}, func(e *edit) error {
		if key, err = e.Key(ctx, "", id); err != nil {
			return err
		}
		tenant, err := e.Tenant(ctx, key.TenantID)
		if err != nil {
			return err
		}
		return e.in(tenant).revoke(ctx, &key, r)
	})
	return key, err
}

// CreateKeyIn is CreateKey in any tenant (id, or else slug), as its first key
// needs somebody from outside; n has no Idempotency. It needs manage:tenants,
// and makes nothing beyond the principal's own rights.
func (s *Service) CreateKeyIn(ctx context.Context, p Principal, idOrSlug string, n NewKey) (Issued, error) {
	token, err := NewToken(s.cfg.Rand, s.cfg.TokenPrefix)
	if err != nil {
		return Issued{}, err
	}
	var key Key
	err = s.edit(ctx, p, operation{"key.create", manageTenants}, func(e *edit) error {
		tenant, err := e.Tenant(ctx, idOrSlug)
		if err != nil {
			return err
		}
		within := e.in(tenant)
		if key, err = within.newKey(ctx, &n); err != nil {
			return err
		}
		return within.insertKey(ctx, &key, token)
	})
	if err != nil {
		return Issued{}, err
	}
	return Issued{Key: key, Secret: token}, nil
}

// TenantByID finds any tenant by id, or else by slug. It needs view:tenants.
func (s *Service) TenantByID(ctx context.Context, p Principal, idOrSlug string) (tenant Tenant, err error) {
	err = s.read(ctx, p, operation{"tenant.get", viewTenants}, func(r Reader) error {
		tenant, err = r.Tenant(ctx, idOrSlug)
		return err
	})
	return tenant, err
}

// UpdateAnyTenant is UpdateTenant for any tenant (id, or else slug). It needs
// manage:tenants, and of a key an unrestricted policy where UpdateTenant does.
func (s *Service) UpdateAnyTenant(ctx context.Context, p Principal, idOrSlug string, tp TenantPatch) (tenant Tenant, err error) {
	anyOf := func(e *edit) (*edit, error) {
		t, err := e.Tenant(ctx, idOrSlug)
		return e.in(t), err
	}
	return s.updateTenant(ctx, p, manageTenants, anyOf, tp)
}

// in is the edit within a tenant: the audit entries are that tenant's.
func (e *edit) in(t Tenant) *edit {
	within := *e
	within.who = e.who.in(t)
	return &within
}
