package keys

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

const (
	timeUnit = time.Microsecond // what stores keep
	maxGrace = 30 * 24 * time.Hour
)

var errRevoked = &ConflictError{Problem: "the key is revoked"}

// UpdateKey changes a key; what it is and what it becomes must be within the
// principal's own rights, unless the change only narrows. It needs
// manage:api-keys.
func (s *Service) UpdateKey(ctx context.Context, p Principal, id string, patch KeyPatch) (key Key, err error) {
	err = s.edit(ctx, p, operation{"key.update", manageKeys}, func(e *edit) error {
		was, err := visibleKey(ctx, e, e.who, id)
		if err != nil {
			return err
		}
		if patch.IfVersion != 0 && patch.IfVersion != was.Version {
			return ErrVersion
		}
		if was.RevokedAt != nil {
			return errRevoked
		}
		becomes, err := e.patched(ctx, &was, &patch)
		if err != nil {
			return err
		}
		if err := e.mayBecome(ctx, &was, &becomes); err != nil {
			return err
		}
		key = becomes
		return e.saveKey(ctx, &was, &key)
	})
	return key, err
}

// patched is the key with the patch on it, checked.
func (e *edit) patched(ctx context.Context, was *Key, p *KeyPatch) (Key, error) {
	k := *was
	var f faults
	if p.Name.Null {
		f.add("name", "must not be null")
	}
	patch(&k.Name, p.Name, was.Name)
	patch(&k.Description, p.Description, "")
	patch(&k.Tags, p.Tags, nil)
	patch(&k.Permissions, p.Permissions, nil)
	patch(&k.Enabled, p.Enabled, true)
	k.Tags, k.Permissions = distinct(k.Tags), distinct(k.Permissions)
	p.PolicyPatch.applyTo(&k.Policy, policy.Default())
	if err := e.checkKey(ctx, &f, &k, was); err != nil {
		return Key{}, err
	}
	return k, f.err()
}

// mayBecome holds a change to the principal's rights, unless it only narrows.
func (e *edit) mayBecome(ctx context.Context, was, becomes *Key) error {
	if e.who.IsOperator() {
		return nil
	}
	before, err := subjectOf(ctx, e, was, e.who.tenant)
	if err != nil {
		return err
	}
	after, err := subjectOf(ctx, e, becomes, e.who.tenant)
	if err != nil || narrows(before, after) {
		return err
	}
	if err := e.holds(ctx, was); err != nil {
		return err
	}
	return e.within(ctx, becomes)
}

// saveKey writes a key that differs from what it was, with its audit entry.
func (e *edit) saveKey(ctx context.Context, was, k *Key) error {
	changed, err := e.log(ctx, k.ID, was.fields(), k.fields())
	if err != nil || !changed {
		return err
	}
	k.UpdatedAt, k.Version = e.now, e.Epoch()
	return e.Writer.UpdateKey(ctx, k)
}

// ToggleKey flips mcpActive in one step. Pausing needs only manage:api-keys,
// resuming needs the key's rights too.
func (s *Service) ToggleKey(ctx context.Context, p Principal, id string) (key Key, err error) {
	err = s.edit(ctx, p, operation{"key.toggle", manageKeys}, func(e *edit) error {
		was, err := visibleKey(ctx, e, e.who, id)
		if err != nil {
			return err
		}
		if was.RevokedAt != nil {
			return errRevoked
		}
		key = was
		key.Policy.Active = !was.Policy.Active
		if key.Policy.Active {
			if err := e.holds(ctx, &key); err != nil {
				return err
			}
		}
		return e.saveKey(ctx, &was, &key)
	})
	return key, err
}

// RotateKey gives a key a new secret; the old one goes on working for grace
// (0 to 30 days), at most to the key's own expiry. It needs manage:api-keys and
// the key's rights.
func (s *Service) RotateKey(ctx context.Context, p Principal, id string, grace time.Duration) (Issued, error) {
	if grace < 0 || grace > maxGrace {
		return Issued{}, &InvalidError{Fields: []policy.Problem{{
			Field: "graceSeconds", Problem: fmt.Sprintf("must be 0 to %d", int(maxGrace.Seconds()))}}}
	}
	token, err := NewToken(s.cfg.Rand, s.cfg.TokenPrefix)
	if err != nil {
		return Issued{}, err
	}
	var key Key
	err = s.edit(ctx, p, operation{"key.rotate", manageKeys}, func(e *edit) error {
		was, err := visibleKey(ctx, e, e.who, id)
		if err != nil {
			return err
		}
		if was.RevokedAt != nil {
			return errRevoked
		}
		if !was.Live(e.now) {
			return &ConflictError{Problem: "the key has expired; make a new one"}
		}
		if err := e.holds(ctx, &was); err != nil {
			return err
		}
		key = was
		return e.rotate(ctx, &was, &key, token, grace)
	})
	if err != nil {
		return Issued{}, err
	}
	return Issued{Key: key, Secret: token}, nil
}

// rotate keeps the current secret for the grace and drops one that is in its
// grace already. The current one is told by having no end of its own: two
// rotations can bear the same time.
func (e *edit) rotate(ctx context.Context, was, k *Key, token Secret, grace time.Duration) error {
	old, err := e.Secrets(ctx, k.TenantID, k.ID)
	if err != nil {
		return err
	}
	keep := []KeySecret{e.secret(k, token)}
	if grace > 0 && len(old) > 0 {
		last := old[max(0, slices.IndexFunc(old, func(k KeySecret) bool { return k.ExpiresAt == nil }))]
		ends := e.now.Add(grace).Truncate(timeUnit)
		for _, other := range []*time.Time{k.ExpiresAt, last.ExpiresAt} {
			ends = earlier(ends, other)
		}
		last.ExpiresAt = &ends
		keep = append(keep, last)
	}
	k.Prefix, _ = ShownPrefix(token)
	k.UpdatedAt, k.Version = e.now, e.Epoch()
	if err := e.PutSecrets(ctx, k.TenantID, k.ID, keep...); err != nil {
		return err
	}
	if err := e.Writer.UpdateKey(ctx, k); err != nil {
		return err
	}
	return e.logDetail(ctx, k.ID, map[string]fields{
		"before": {"prefix": was.Prefix},
		"after":  {"prefix": k.Prefix, "graceSeconds": int(grace.Seconds())},
	})
}

// RevokeKey ends a key and thereby its subtree. Again: no change, no error. It
// needs manage:api-keys.
func (s *Service) RevokeKey(ctx context.Context, p Principal, id, reason string) (key Key, err error) {
	var f faults
	f.text("reason", reason, 0, maxReason)
	if err := f.err(); err != nil {
		return Key{}, err
	}
	err = s.edit(ctx, p, operation{"key.revoke", manageKeys}, func(e *edit) error {
		was, err := visibleKey(ctx, e, e.who, id)
		if key = was; err != nil || was.RevokedAt != nil {
			return err
		}
		at := e.now
		key.RevokedAt, key.RevokedBy, key.RevokeReason = &at, e.who.Actor(), reason
		return e.saveKey(ctx, &was, &key)
	})
	return key, err
}
