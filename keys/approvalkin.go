package keys

import (
	"context"
	"slices"
	"strings"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// mayAnswer refuses who would answer for calls of its own: the same principal, an
// ancestor or child of it, a key that the calling one has made, be it by way of
// others or of keys below it, and any two keys that one which needs approval itself has
// made or is above, that one included: it could call with the one and answer with the
// other.
func (e *edit) mayAnswer(ctx context.Context, a *CallApproval) error {
	own := &PermissionError{Hint: "a key answers neither for its own calls nor for those of its ancestors and children, " +
		"nor a key for those of the key that made it, nor one key for another where the same key, which needs approval itself, " +
		"has made them: ask the holder of another key with " + manageApprovals}
	if e.who.IsOperator() {
		return nil
	}
	answers, ok1, err := e.kin(ctx, a.TenantID, e.who.ID())
	if err != nil {
		return err
	}
	asks, ok2, err := e.kin(ctx, a.TenantID, a.Actor)
	if err != nil {
		return err
	}
	if !ok1 || !ok2 || slices.Contains(answers.all, a.Actor) || slices.Contains(asks.above, e.who.ID()) {
		return own
	}
	for _, shared := range answers.all {
		if !slices.Contains(asks.all, shared) {
			continue
		}
		needs, err := e.needsApprovals(ctx, a.TenantID, shared)
		if err != nil {
			return err
		}
		if needs {
			return own
		}
	}
	return nil
}

// kin are a principal and all that could have it in hand, by id.
type kin struct {
	above []string // it, and its ancestors
	all   []string // those, and who made each of them, and who is above that one, and so on
}

// maxKin is how many are looked at. Who has more answers for nobody, and nobody but
// the operator for it: it could have made as many keys in between to hide whose it is.
const maxKin = 32

// kin finds those of a principal by id: who is above a key can take its secret, and who
// made one has it. ok is false when there are more than are looked at.
func (e *edit) kin(ctx context.Context, tenantID, id string) (found kin, ok bool, err error) {
	found.above, found.all = []string{id}, []string{id}
	for i := 0; i < len(found.all); i++ {
		if i == maxKin {
			return kin{}, false, nil
		}
		key, err := e.Key(ctx, tenantID, found.all[i])
		switch {
		case isNotFound(err): // the operator, a JWT's subject, or purged
			continue
		case err != nil:
			return kin{}, false, err
		case i == 0:
			c, err := loadChain(ctx, e, key)
			if err != nil {
				return kin{}, false, err
			}
			found.above = c.ids()
		}
		for _, other := range []string{key.ParentKeyID, key.CreatedBy} {
			if other != "" && !slices.Contains(found.all, other) {
				found.all = append(found.all, other)
			}
		}
	}
	return found, true, nil
}

// needsApprovals tells whether a person must approve any calls of a maker's. What a
// maker that is gone needed, its keys need too.
func (e *edit) needsApprovals(ctx context.Context, tenantID, maker string) (bool, error) {
	if strings.HasPrefix(maker, jwtActor) {
		tenant, err := e.Tenant(ctx, tenantID)
		return len(tenant.JWTPolicy.Approvals) > 0, err
	}
	key, err := e.Key(ctx, tenantID, maker)
	if isNotFound(err) {
		return maker != "operator" && e.who.Grant().HasApprovals(), nil
	}
	if err != nil {
		return false, err
	}
	c, err := loadChain(ctx, e, key)
	if err != nil {
		return false, err
	}
	return hasApprovals(c.layers), nil
}

func hasApprovals(layers []policy.Subject) bool {
	return slices.ContainsFunc(layers, func(s policy.Subject) bool { return len(s.Policy.Approvals) > 0 })
}

// mayTake refuses the secret of a key above one's own, with which one would go on after
// one's own key was revoked; and that of another's key to who needs approval and may
// answer for calls: it would ask with the one key and answer with the other.
func (e *edit) mayTake(ctx context.Context, k *Key) error {
	if k.ID != e.who.KeyID() && slices.Contains(e.who.Chain(), k.ID) {
		return &PermissionError{Hint: "a key rotates no key above it, whose secret would outlive its own: use that key, or one that is not below it"}
	}
	if e.who.IsOperator() || !hasApprovals(e.layers) || !e.who.Can(manageApprovals, e.now) {
		return nil
	}
	c, err := loadChain(ctx, e, *k)
	if err != nil || slices.Contains(c.ids(), e.who.KeyID()) && e.who.KeyID() != "" {
		return err
	}
	return exceeds([]policy.Problem{{Field: "mcpApprovals",
		Problem: "your own calls need approval, and you could give it with this key's secret: rotate only keys below your own"}})
}
