package keys

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

const (
	timeUnit = time.Microsecond // what stores keep
	maxGrace = 30 * 24 * time.Hour
)

// ErrRevoked is a change of a key that is revoked; a *ConflictError.
var ErrRevoked error = &ConflictError{Problem: "the key is revoked"}

// UpdateKey changes a key; what it is and what it becomes must be within the
// principal's own rights, unless the change only narrows. It needs
// manage:api-keys.
func (s *Service) UpdateKey(ctx context.Context, p Principal, id string, patch KeyPatch) (key Key, err error) {
	err = s.edit(ctx, p, operation{"key.update", manageKeys}, func(e *edit) error {
		was, becomes, err := e.updated(ctx, id, &patch)
		if err != nil {
			return err
		}
		key = becomes
		return e.saveKey(ctx, &was, &key)
	})
	return key, err
}

// updated is a key as it stands, and as the patch makes it, once all is checked.
func (e *snapshot) updated(ctx context.Context, id string, patch *KeyPatch) (was, becomes Key, err error) {
	if was, err = e.standing(ctx, id, patch.IfVersion); err != nil {
		return was, becomes, err
	}
	if becomes, err = e.patched(ctx, &was, patch); err != nil {
		return was, becomes, err
	}
	return was, becomes, e.mayBecome(ctx, &was, &becomes)
}

// patched is the key with the patch on it, checked.
func (e *snapshot) patched(ctx context.Context, was *Key, p *KeyPatch) (Key, error) {
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
	k.applyShadow(p.MCPShadow)
	if err := (checks{e}).checkKey(ctx, &f, &k, was); err != nil {
		return Key{}, err
	}
	return k, f.err()
}

// mayBecome holds a change to the principal's rights, unless it only narrows, and a new
// draft as if it were the key's policy: somebody else may put it in force, who sees
// only the calls that it decides otherwise.
func (e *snapshot) mayBecome(ctx context.Context, was, becomes *Key) error {
	if e.who.IsOperator() {
		return nil
	}
	err := e.mayHaveRights(ctx, was, becomes)
	if err != nil || becomes.Shadow == nil || was.Shadow != nil && was.Shadow.Equal(*becomes.Shadow) {
		return err
	}
	inForce := becomes.draftInForce()
	return ofDraft(e.mayHaveRights(ctx, was, &inForce))
}

// draftInForce is the key with its draft as its policy. A pause stays as it is.
func (k *Key) draftInForce() Key {
	out := *k
	out.Policy, out.Shadow = *k.Shadow, nil
	out.Policy.Active = k.Policy.Active
	return out
}

// ofDraft says of an error's fields that they are those of a draft.
func ofDraft(err error) error {
	var denied *PermissionError
	if !errors.As(err, &denied) {
		return err
	}
	told := *denied
	told.Fields = make([]policy.Problem, len(denied.Fields))
	for i, p := range denied.Fields {
		told.Fields[i] = policy.Problem{Field: "mcpShadow." + p.Field, Problem: p.Problem}
	}
	return &told
}

// mayHaveRights is mayBecome without a look at drafts.
func (e *snapshot) mayHaveRights(ctx context.Context, was, becomes *Key) error {
	before, err := subjectOf(ctx, e, was, e.who.Tenant())
	if err != nil {
		return err
	}
	after, err := subjectOf(ctx, e, becomes, e.who.Tenant())
	if err != nil || narrows(before, after) && keepsCounts(&was.Policy, &becomes.Policy) {
		return err
	}
	if err := e.holds(ctx, was); err != nil {
		return err
	}
	if slices.Contains(e.who.Chain(), was.ID) && !keepsCounts(&was.Policy, &becomes.Policy) {
		return exceeds([]policy.Problem{{Field: "mcpLimits",
			Problem: "your own limits keep their tool and period, for calls would be counted anew: lower their number, or add others beside them"}})
	}
	return e.within(ctx, becomes)
}

// keepsCounts tells whether every limit of a policy stays with the calls that it has
// counted, which go by its tools and period as written: another way to write them
// begins at nothing.
func keepsCounts(was, becomes *policy.Policy) bool {
	for _, old := range was.Limits {
		if !slices.ContainsFunc(becomes.Limits, func(l policy.RateLimit) bool {
			return l.Tool == old.Tool && l.Per == old.Per && l.Requests <= old.Requests
		}) {
			return false
		}
	}
	return true
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

// ToggleKey flips mcpActive in one step; ErrVersion when ifVersion is not the
// key's (0 = whatever it is). Pausing needs only manage:api-keys, resuming needs
// the key's rights too.
func (s *Service) ToggleKey(ctx context.Context, p Principal, id string, ifVersion int64) (key Key, err error) {
	err = s.edit(ctx, p, operation{"key.toggle", manageKeys}, func(e *edit) error {
		was, err := e.standing(ctx, id, ifVersion)
		if err != nil {
			return err
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

// standing is a key that can still be edited, in the version that was seen.
func (e *snapshot) standing(ctx context.Context, id string, ifVersion int64) (Key, error) {
	key, err := visibleKey(ctx, e, e.who, id)
	switch {
	case err != nil:
		return Key{}, err
	case ifVersion != 0 && ifVersion != key.Version:
		return Key{}, ErrVersion
	case key.RevokedAt != nil:
		return Key{}, ErrRevoked
	}
	return key, nil
}

// RotateKey gives a key a new secret; the old one goes on working for the grace,
// at most to the key's own expiry. It needs manage:api-keys and the key's
// rights. With an idempotency key: *IdempotencyError.
func (s *Service) RotateKey(ctx context.Context, p Principal, id string, r Rotation) (Issued, error) {
	if r.Grace < 0 || r.Grace > maxGrace {
		return Issued{}, &InvalidError{Fields: []policy.Problem{{
			Field: "graceSeconds", Problem: fmt.Sprintf("must be from 0 to %d seconds", int(maxGrace.Seconds()))}}}
	}
	return s.issue(ctx, p, operation{"key.rotate", manageKeys}, id, r.Idempotency, func(e *edit, token Secret) (Key, error) {
		was, err := e.standing(ctx, id, r.IfVersion)
		if err != nil {
			return Key{}, err
		}
		if !was.Live(e.now) {
			return Key{}, &ConflictError{Problem: "the key has expired; make a new one"}
		}
		if err := e.holds(ctx, &was); err != nil {
			return Key{}, err
		}
		if err := e.mayTake(ctx, &was); err != nil {
			return Key{}, err
		}
		key := was
		err = e.rotate(ctx, &was, &key, token, r.Grace)
		return key, err
	})
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

// RevokeKey ends a key and thereby its subtree. Again: no change, no error,
// whatever the version, unless it is to be revoked once. It needs manage:api-keys.
func (s *Service) RevokeKey(ctx context.Context, p Principal, id string, r Revocation) (key Key, err error) {
	if err := r.check(); err != nil {
		return Key{}, err
	}
	err = s.edit(ctx, p, operation{"key.revoke", manageKeys}, func(e *edit) error {
		if key, err = visibleKey(ctx, e, e.who, id); err != nil {
			return err
		}
		return e.revoke(ctx, &key, r)
	})
	return key, err
}

func (r *Revocation) check() error {
	var f faults
	f.text("reason", r.Reason, 0, maxReason)
	return f.err()
}

func (e *edit) revoke(ctx context.Context, k *Key, r Revocation) error {
	if k.RevokedAt != nil && r.Once {
		return ErrRevoked
	}
	if k.RevokedAt != nil {
		return nil
	}
	if r.IfVersion != 0 && r.IfVersion != k.Version {
		return ErrVersion
	}
	was, at := *k, e.now
	k.RevokedAt, k.RevokedBy, k.RevokeReason = &at, e.who.Actor(), r.Reason
	return e.saveKey(ctx, &was, k)
}
