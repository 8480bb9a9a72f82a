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

// sameHistory tells whether the store has the changes that were applied last.
func (s *Service) sameHistory(ctx context.Context) (bool, error) {
	last := s.feed.last
	if len(last) == 0 {
		return s.feed.applied == 0, nil
	}
	there, err := s.cfg.Store.Changes(ctx, last[0].Epoch-1, 1)
	return slices.Equal(there, last), err
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
