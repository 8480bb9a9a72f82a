package keys

import (
	"context"
	"errors"
	"time"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// What a draft would have had become of a call, where that differs from what the
// live policy did.
const (
	ShadowDeny     = "deny"     // the draft denies what the live policy allows
	ShadowAllow    = "allow"    // the reverse, or no person would have to approve it
	ShadowApproval = "approval" // a person would have to approve it
	ShadowError    = "error"    // the draft could not be decided; the live policy was
)

// Draft is the key's draft policy, compiled: its state and its ancestors are those
// of Grant, its own policy is the draft. has is false without one; a nil grant
// beside it is of a draft that could not be read. It changes nothing that the
// principal may do.
func (p Principal) Draft() (grant *policy.Grant, has bool) {
	return p.of().draft, p.of().key.Shadow != nil
}

// draftUnread tells that the draft is to be read again for the next request.
func (is *identity) draftUnread() bool { return is.key.Shadow != nil && is.draft == nil }

// rereadFor bounds what reading a draft again adds to a request.
const rereadFor = time.Second

// reread looks a principal up anew whose draft could not be read. While the store is
// away it stays as it is, for as long as a principal without a draft.
func (s *Service) reread(ctx context.Context, p Principal) (Principal, error) {
	brief, cancel := context.WithTimeout(ctx, rereadFor)
	defer cancel()
	mark := s.cache.mark()
	fresh, err := s.loadPrincipal(brief, [][32]byte{p.is.hash})
	switch {
	case errors.Is(err, ErrBadCredential):
		return Principal{}, err
	case err != nil:
		return p, nil
	case s.cache.put(mark, fresh):
		return fresh, nil
	}
	return s.principal(ctx, p.is.hash) // an edit beside it has dropped what was kept
}

// compileDraft compiles the draft of the chain's key. It reads in a transaction of
// its own, after all that the live policy needs: what goes wrong here is recorded
// with the calls, and refuses none of them.
func (s *Service) compileDraft(ctx context.Context, c chain, is *identity) {
	draft := c.keys[0].Shadow
	if draft == nil {
		return
	}
	layer := c.layers[0]
	layer.Policy, layer.Presets = *draft, nil
	if !policy.ReservedPreset(draft.Preset) {
		err := s.cfg.Store.Read(ctx, func(r Reader) (err error) {
			layer.Presets, err = presetNamed(ctx, r, c.tenant.ID, draft.Preset)
			return err
		})
		if err != nil {
			return
		}
	}
	is.draft = policy.Compile(layer, c.layers[1:]...)
}
