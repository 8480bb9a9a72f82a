package keys

import (
	"context"
	"sync"
	"time"
)

// feed is how far this process has applied the changes of the store.
type feed struct {
	mu      sync.Mutex // held while changes are applied
	applied int64      // under mu

	state     sync.RWMutex
	epoch     int64     // applied, for readers
	confirmed time.Time // when the store was last asked and had nothing more

	nudged chan struct{}

	watching sync.Mutex
	watchers map[int]func([]Change)
	next     int
}

const (
	feedBatch   = 1000
	settleLimit = 5 * time.Second
	// observeInterval is how often a replica looks at the others.
	observeInterval = time.Second
)

// Confirmed is the edit that this process has applied, and when it last
// confirmed with the store that there is none after it.
func (s *Service) Confirmed() (epoch int64, at time.Time) {
	s.feed.state.RLock()
	defer s.feed.state.RUnlock()
	return s.feed.epoch, s.feed.confirmed
}

// Watch calls fn after each batch of changes that this process has applied
// (its own and other processes'), in epoch order, from one goroutine or from
// the editing one before its method returns; fn must not block for long nor
// call methods that edit. An empty batch says that something was edited that
// can't be read yet; it comes once more when it can. The returned function ends it.
func (s *Service) Watch(fn func([]Change)) (stop func()) {
	f := &s.feed
	f.watching.Lock()
	defer f.watching.Unlock()
	id := f.next
	f.next++
	f.watchers[id] = fn
	return func() {
		f.watching.Lock()
		defer f.watching.Unlock()
		delete(f.watchers, id)
	}
}

// catchUp applies all changes up to what the store has now.
func (s *Service) catchUp(ctx context.Context) error {
	f := &s.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	if s.cfg.Decides {
		if err := s.register(ctx); err != nil {
			return err
		}
	}
	asked := s.cfg.Now()
	latest, err := s.cfg.Store.Epoch(ctx)
	if err != nil {
		return err
	}
	if f.applied < latest {
		if err := s.learnImports(ctx); err != nil {
			return err
		}
	}
	for f.applied < latest {
		changes, err := s.cfg.Store.Changes(ctx, f.applied, feedBatch)
		if err != nil {
			return err
		}
		if len(changes) == 0 { // the last edits changed nothing but meta values
			f.applied = latest
			break
		}
		s.cache.drop(changes)
		f.applied = changes[len(changes)-1].Epoch
		f.publish(time.Time{})
		s.announce(changes)
	}
	f.publish(asked)
	if s.cfg.Decides {
		return s.beat(ctx, asked)
	}
	return nil
}

// publish shows what is applied; a zero time leaves when it was confirmed.
func (f *feed) publish(confirmed time.Time) {
	f.state.Lock()
	defer f.state.Unlock()
	f.epoch = f.applied
	if !confirmed.IsZero() {
		f.confirmed = confirmed
	}
}

// settle applies an edit of this process before its method returns, and waits
// until every other replica has applied it, too. The edit is committed by now:
// when the feed can't be read, everything is forgotten, the watchers are told
// that anything may have changed, and by the next poll what.
func (s *Service) settle(ctx context.Context, epoch int64) {
	if err := s.settleHere(ctx); err != nil {
		s.cache.dropAll()
		s.announce(nil)
	}
	note(ctx, s.confirm(ctx, epoch))
}

func (s *Service) settleHere(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleLimit)
	defer cancel()
	return s.catchUp(ctx)
}

func (s *Service) announce(changes []Change) {
	f := &s.feed
	f.watching.Lock()
	fns := make([]func([]Change), 0, len(f.watchers))
	for _, fn := range f.watchers {
		fns = append(fns, fn)
	}
	f.watching.Unlock()
	for _, fn := range fns {
		fn(changes)
	}
}

// poll follows other processes' edits until ctx ends. A failed poll is tried
// again at the next turn; Confirmed shows how old the knowledge is.
func (s *Service) poll(ctx context.Context) {
	var looked time.Time
	turn := func() {
		_ = s.catchUp(ctx)
		if now := s.cfg.Now(); s.cfg.Decides && now.Sub(looked) >= observeInterval {
			looked = now
			_ = s.observe(ctx)
		}
	}
	ticker := time.NewTicker(s.cfg.PollInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-s.feed.nudged:
		}
		turn()
	}
}

// Nudge has the change feed read at once: somebody heard of an edit. It is a
// hint; polling finds every edit.
func (s *Service) Nudge() {
	select {
	case s.feed.nudged <- struct{}{}:
	default:
	}
}

func every(ctx context.Context, interval time.Duration, fn func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			fn()
		}
	}
}
