package keys

import (
	"context"
	"slices"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

const (
	viewKeys   = "view:api-keys"
	manageKeys = "manage:api-keys"
)

// CreateKey mints a key within the principal's own rights. It needs
// manage:api-keys. With an idempotency key: *IdempotencyError.
func (s *Service) CreateKey(ctx context.Context, p Principal, n NewKey) (Issued, error) {
	return s.issue(ctx, p, operation{"key.create", manageKeys}, "", n.Idempotency, func(e *edit, token Secret) (Key, error) {
		key, err := e.newKey(ctx, &n)
		if err != nil {
			return Key{}, err
		}
		err = e.insertKey(ctx, &key, token)
		return key, err
	})
}

// newKey checks a request and makes the key of it, still without an id.
func (e *edit) newKey(ctx context.Context, n *NewKey) (Key, error) {
	if e.limited() && e.who.IsSubject() {
		return Key{}, e.countsElsewhere()
	}
	if e.limited() && n.ParentKeyID == "" {
		n.ParentKeyID = e.who.KeyID()
	}
	k := draftKey(n)
	k.TenantID, k.CreatedBy = e.who.of().tenant.ID, e.who.Actor()
	var f faults
	if err := e.checkNew(ctx, &f, &k); err != nil {
		return Key{}, err
	}
	if err := f.err(); err != nil {
		return Key{}, err
	}
	if err := e.mayParent(ctx, k.ParentKeyID); err != nil {
		return Key{}, err
	}
	if err := e.endChild(ctx, &k, n.ExpiresWithParent); err != nil {
		return Key{}, err
	}
	e.withinSession(&k)
	if err := e.fit(ctx, &k, openFields(n)); err != nil {
		return Key{}, err
	}
	k.applyShadow(n.MCPShadow) // over what has come in of the maker's
	if err := e.withinDraft(ctx, &k); err != nil {
		return Key{}, err
	}
	// The maker's projectId and rules may have come in.
	if err := (checks{e}).checkKey(ctx, &f, &k, &k); err != nil {
		return Key{}, err
	}
	if err := f.err(); err != nil {
		return Key{}, err
	}
	return k, e.giveHandle(ctx, &k)
}

// draftKey is the request over the defaults.
func draftKey(n *NewKey) Key {
	k := Key{
		Name: n.Name, Handle: n.Handle, Description: n.Description, Tags: distinct(n.Tags),
		Scope: policy.ScopeFull, Permissions: []string{}, Enabled: true, Policy: policy.Default(),
		ProjectID: n.ProjectID, ParentKeyID: n.ParentKeyID, Source: n.Source, DeviceName: n.DeviceName,
	}
	patch(&k.Scope, n.Scope, policy.ScopeFull)
	patch(&k.Permissions, n.Permissions, nil)
	patch(&k.Enabled, n.Enabled, true)
	k.Permissions = distinct(k.Permissions)
	n.PolicyPatch.applyTo(&k.Policy, policy.Default())
	k.applyShadow(n.MCPShadow)
	if n.ExpiresAt != nil {
		at := n.ExpiresAt.UTC().Truncate(timeUnit)
		k.ExpiresAt = &at
	}
	if k.Source == "" {
		k.Source = "api"
	}
	return k
}

func openFields(n *NewKey) []string {
	open := n.PolicyPatch.open()
	for field, set := range map[string]bool{
		"scope": n.Scope.Set, "permissions": n.Permissions.Set,
		"projectId": n.ProjectID != "", "expiresAt": n.ExpiresAt != nil,
	} {
		if !set {
			open = append(open, field)
		}
	}
	return open
}

// checkNew checks what only a new key has, and all that any key has.
func (e *edit) checkNew(ctx context.Context, f *faults, k *Key) error {
	if err := (checks{e}).checkConfinement(ctx, f, k); err != nil {
		return err
	}
	if k.Handle != "" {
		checkHandle(f, k.Handle)
	}
	if !slices.Contains(keySources, k.Source) {
		f.add("source", "unknown source %q", clip(k.Source))
	}
	if k.ExpiresAt != nil && !e.now.Before(*k.ExpiresAt) {
		f.add("expiresAt", "must be in the future")
	}
	if k.ExpiresAt != nil {
		f.time("expiresAt", *k.ExpiresAt)
	}
	if err := e.checkParent(ctx, f, k.ParentKeyID); err != nil {
		return err
	}
	return checks{e}.checkKey(ctx, f, k, &Key{})
}

func (e *edit) giveHandle(ctx context.Context, k *Key) (err error) {
	if k.Handle == "" {
		k.Handle, err = e.freeHandle(ctx, k.TenantID, k.Name)
		return err
	}
	_, err = e.KeyByHandle(ctx, k.TenantID, k.Handle)
	if isNotFound(err) {
		return nil
	}
	if err == nil {
		err = &ConflictError{Field: "handle", Problem: "another key has this handle"}
	}
	return err
}

// insertKey gives the key its id, times and first secret, and writes it.
func (e *edit) insertKey(ctx context.Context, k *Key, token Secret) (err error) {
	if k.ID, err = e.svc.ids.next(); err != nil {
		return err
	}
	if k.CreatedBy == "" {
		k.CreatedBy = e.who.Actor()
	}
	k.CreatedAt, k.UpdatedAt, k.Version = e.now, e.now, e.Epoch()
	k.Prefix, _ = ShownPrefix(token)
	if err := e.InsertKey(ctx, k, e.secret(k, token)); err != nil {
		return err
	}
	_, err = e.log(ctx, k.ID, nil, k.fields())
	return err
}

// secret is how a token is kept.
func (e *edit) secret(k *Key, token Secret) KeySecret {
	hash, pepper := e.svc.derived.secretHash(token)
	return KeySecret{KeyID: k.ID, TenantID: k.TenantID, Hash: hash, Pepper: pepper, CreatedAt: e.now}
}
