package keys

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// ChildTTL is how long a child lives whose maker does not say; a key too that a
// JWT's subject mints over MCP.
const ChildTTL = time.Hour

// checkParent holds a parent to being live, not too deep and not too fertile.
func (e *edit) checkParent(ctx context.Context, f *faults, id string) error {
	if id == "" {
		return nil
	}
	c, err := e.chainOf(ctx, id)
	if isNotFound(err) {
		f.add("parentKeyId", "no key has the id %q", clip(id))
		return nil
	}
	if err != nil {
		return err
	}
	if !c.live(e.now) {
		f.add("parentKeyId", "the parent, or a key above it, is revoked, expired or disabled: name one that works")
	}
	if len(c.keys) >= maxDepth {
		f.add("parentKeyId", "a chain of keys has at most %d, and the parent is the last: name a key above it", maxDepth)
	}
	_, live, err := e.Keys(ctx, c.tenant.ID, KeyQuery{ParentKeyID: id, LiveAt: e.now, Limit: 1})
	if err == nil && live >= maxChildren {
		f.add("parentKeyId", "the parent has %d live children already: revoke some, wait until some expire, or name another parent", maxChildren)
	}
	return err
}

func (e *edit) chainOf(ctx context.Context, id string) (chain, error) {
	key, err := e.Key(ctx, e.who.of().tenant.ID, id)
	if err != nil {
		return chain{}, err
	}
	return loadChain(ctx, e, key)
}

// mayParent lets a key be the parent that is in the principal's own subtree, or
// whose rights the principal covers.
func (e *edit) mayParent(ctx context.Context, id string) error {
	if id == "" || id == e.who.KeyID() {
		return nil
	}
	parent, err := e.Key(ctx, e.who.of().tenant.ID, id)
	if err != nil {
		return err
	}
	var denied *PermissionError
	if err := e.holds(ctx, &parent); errors.As(err, &denied) {
		if slices.ContainsFunc(denied.Fields, func(p policy.Problem) bool { return p.Field == "mcpLimits" }) {
			return err
		}
		return exceeds([]policy.Problem{{Field: "parentKeyId", Problem: "the parent's rights are not within your own"}})
	} else if err != nil {
		return err
	}
	return nil
}

// endChild says when a child ends whose maker does not: after [ChildTTL], or
// with the first of its ancestors where that is earlier or withParent is asked
// for. A key that a subject mints over MCP ends with its token in place of them.
func (e *edit) endChild(ctx context.Context, k *Key, withParent bool) error {
	if k.ExpiresAt != nil || k.ParentKeyID == "" && !e.mintsInSession(k) {
		return nil
	}
	var above chain
	if k.ParentKeyID != "" {
		var err error
		if above, err = e.chainOf(ctx, k.ParentKeyID); err != nil {
			return err
		}
	}
	ends := above.until()
	if !withParent {
		soon := e.now.Add(ChildTTL)
		ends = earlier(ends, &soon)
	}
	if !ends.IsZero() {
		k.ExpiresAt = &ends
	}
	return nil
}
