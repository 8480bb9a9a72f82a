package keys

import (
	"context"
	"slices"
)

// recognize makes sure that the store is still the one whose changes were
// applied: a database that took over from one that failed, or that was restored,
// may lack the last of them, and have others under the same numbers. Then nothing
// that is known here counts, and the feed is followed from where the store is.
func (s *Service) recognize(ctx context.Context, latest int64) error {
	f := &s.feed
	if latest >= f.applied {
		if !f.doubted {
			return nil
		}
		same, err := s.sameHistory(ctx)
		if err != nil {
			return err
		}
		if same {
			// Two histories may have edited the same thing last, each in its own way.
			s.cache.drop(f.last)
			s.announce(f.last)
			f.doubted = false
			return nil
		}
	}
	if err := s.remember(ctx, latest); err != nil {
		return err
	}
	if err := s.learnImports(ctx); err != nil {
		return err
	}
	s.cache.dropAll()
	f.applied, f.doubted = latest, false
	s.announce(nil)
	return nil
}

// sameHistory tells whether the store has the changes that were applied last,
// and none where the edits after these changed nothing but meta values.
func (s *Service) sameHistory(ctx context.Context) (bool, error) {
	last, applied := s.feed.last, s.feed.applied
	if len(last) == 0 {
		return applied == 0, nil
	}
	there, err := s.cfg.Store.Changes(ctx, last[0].Epoch-1, 1)
	if err != nil || !slices.Equal(there, last) {
		return false, err
	}
	if last[0].Epoch == applied {
		return true, nil
	}
	more, err := s.cfg.Store.Changes(ctx, last[0].Epoch, 1)
	return len(more) == 0 || more[0].Epoch > applied, err
}

// remember reads the changes of an epoch, by which the store is recognized.
func (s *Service) remember(ctx context.Context, epoch int64) error {
	var changes []Change
	if epoch > 0 {
		var err error
		if changes, err = s.cfg.Store.Changes(ctx, epoch-1, 1); err != nil {
			return err
		}
	}
	s.feed.last = changes
	return nil
}

// lastOf are the changes of the last epoch of some.
func lastOf(changes []Change) []Change {
	epoch := changes[len(changes)-1].Epoch
	first := slices.IndexFunc(changes, func(c Change) bool { return c.Epoch == epoch })
	return slices.Clone(changes[first:])
}
