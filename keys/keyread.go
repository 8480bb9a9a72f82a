package keys

import "context"

// Key answers one key, revoked ones too; a handle is accepted in place of the
// id by FindKey only. It needs view:api-keys.
func (s *Service) Key(ctx context.Context, p Principal, id string) (key Key, err error) {
	err = s.read(ctx, p, operation{"key.get", viewKeys}, func(r Reader) error {
		key, err = visibleKey(ctx, r, p, id)
		return err
	})
	return key, err
}

// FindKey finds by id, or else by handle. It needs view:api-keys.
func (s *Service) FindKey(ctx context.Context, p Principal, idOrHandle string) (key Key, err error) {
	err = s.read(ctx, p, operation{"key.get", viewKeys}, func(r Reader) error {
		key, err = findKey(ctx, r, p, idOrHandle)
		return err
	})
	return key, err
}

// KeyNamed finds by handle alone, so never a revoked key. It needs
// view:api-keys, or manage:api-keys where the key is looked up to write it.
func (s *Service) KeyNamed(ctx context.Context, p Principal, handle string, write bool) (key Key, err error) {
	op := operation{"key.get", viewKeys}
	if write {
		op.needs = manageKeys
	}
	err = s.read(ctx, p, op, func(r Reader) error {
		if key, err = r.KeyByHandle(ctx, p.TenantID(), handle); err != nil {
			return err
		}
		key, err = visibleKey(ctx, r, p, key.ID)
		return err
	})
	return key, err
}

// Keys lists the tenant's keys and the total. It needs view:api-keys.
func (s *Service) Keys(ctx context.Context, p Principal, q KeyQuery) (list []Key, total int, err error) {
	for _, project := range p.of().projects {
		if q.ProjectID != "" && q.ProjectID != project {
			return []Key{}, 0, nil
		}
		q.ProjectID = project
	}
	err = s.read(ctx, p, operation{"key.list", viewKeys}, func(r Reader) error {
		list, total, err = r.Keys(ctx, p.TenantID(), q)
		return err
	})
	return list, total, err
}

// AllKeys lists keys of all tenants; it needs view:tenants.
func (s *Service) AllKeys(ctx context.Context, p Principal, q KeyQuery) (list []Key, total int, err error) {
	err = s.read(ctx, p, operation{"key.list", viewTenants}, func(r Reader) error {
		list, total, err = r.Keys(ctx, "", q)
		return err
	})
	return list, total, err
}

// visibleKey answers ErrNotFound for a key outside of the principal's project.
func visibleKey(ctx context.Context, r Reader, p Principal, id string) (Key, error) {
	key, err := r.Key(ctx, p.TenantID(), id)
	if err == nil && !p.reaches(key.ProjectID) {
		err = ErrNotFound
	}
	if err != nil {
		return Key{}, err
	}
	return key, nil
}

// findKey finds by id, or else by handle.
func findKey(ctx context.Context, r Reader, p Principal, idOrHandle string) (Key, error) {
	key, err := visibleKey(ctx, r, p, idOrHandle)
	if !isNotFound(err) {
		return key, err
	}
	if key, err = r.KeyByHandle(ctx, p.TenantID(), idOrHandle); err != nil {
		return Key{}, err
	}
	return visibleKey(ctx, r, p, key.ID)
}
