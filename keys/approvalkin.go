package keys

import (
	"context"
	"slices"
)

// mayAnswer refuses who would answer for calls of its own: the same principal, an
// ancestor or child of it, and a key that the calling one has made, be it by way of
// others.
func (e *edit) mayAnswer(ctx context.Context, a *CallApproval) error {
	own := &PermissionError{Hint: "a key answers neither for its own calls nor for those of its ancestors and children, " +
		"nor a key for those of the key that made it: ask the holder of another key with " + manageApprovals}
	if e.who.IsOperator() {
		return nil
	}
	if e.who.ID() == a.Actor || slices.Contains(e.who.Chain(), a.KeyID) && a.KeyID != "" {
		return own
	}
	made := e.who.of().key
	for range maxMakers {
		if made.CreatedBy == a.Actor {
			return own
		}
		next, err := e.Key(ctx, a.TenantID, made.CreatedBy)
		if isNotFound(err) || made.CreatedBy == "" {
			break
		}
		if err != nil {
			return err
		}
		made = next
	}
	if a.KeyID == "" {
		return nil
	}
	asker, err := e.Key(ctx, a.TenantID, a.KeyID)
	if isNotFound(err) {
		return nil // purged: nobody can use the approval
	}
	if err != nil {
		return err
	}
	c, err := loadChain(ctx, e, asker)
	if err == nil && slices.Contains(c.ids(), e.who.KeyID()) {
		return own
	}
	return err
}

// maxMakers is how far back it is looked who made a key; behind it nobody is kin.
const maxMakers = 32
