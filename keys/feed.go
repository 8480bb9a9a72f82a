package keys

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// feed is how far this process has applied the changes of the store.
type feed struct {
	turn    chan struct{} // holds one token while nobody applies changes
	applied int64         // these under the turn
	last    []Change      // the changes of the last epoch applied that had any; nil = not known
	doubted bool          // the store could not be read since, and may be another one now

	state     sync.RWMutex
	epoch     int64     // applied, for readers
	confirmed time.Time // when the store was last asked and had nothing more

	nudged  chan struct{}
	hearing atomic.Bool // of edits, so that polling is only to make sure
	broken  atomic.Bool // the connection that edits were heard on ended since; see doubted

	watching sync.Mutex
	watchers map[int]func([]Change)
	next     int
}

const (
	feedBatch   = 1000
	settleLimit = 5 * time.Second
	// observeInterval is how often a replica looks at the others.
	observeInterval = time.Second
	heardInterval   = time.Second // between polls while edits are heard of
	hearFirst       = 100 * time.Millisecond
	hearLast        = time.Second // the first edit after an outage should be heard of
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
	if err := f.take(ctx); err != nil {
		return err
	}
	defer f.give()
	err := s.follow(ctx)
	f.doubted = f.doubted || err != nil
	return err
}

// take waits for the turn to apply changes, which can't be had while another
// waits for a store that is silent.
func (f *feed) take(ctx context.Context) error {
	select {
	case <-f.turn:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *feed) give() { f.turn <- struct{}{} }

// follow is catchUp, with the turn.
func (s *Service) follow(ctx context.Context) error {
	f := &s.feed
	if s.cfg.Decides {
		if err := s.register(ctx); err != nil {
			return err
		}
	}
	if f.broken.Swap(false) {
		f.doubted = true
	}
	asked := s.cfg.Now()
	latest, err := s.cfg.Store.Epoch(ctx)
	if err != nil {
		return err
	}
	if err := s.recognize(ctx, latest); err != nil {
		return err
	}
	s.counters.known.Store(latest)
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
		f.last = lastOf(changes)
		f.applied = f.last[0].Epoch
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
// when the feed can't be read, the watchers are told that anything may have
// changed, and by the next poll what.
func (s *Service) settle(ctx context.Context, epoch int64) Propagation {
	if err := s.settleHere(ctx); err != nil {
		// A process that decides waits for itself, too, below. What it knows of all
		// other keys is what it goes on with while the store can't be reached.
		if !s.cfg.Decides {
			s.cache.dropAll()
		}
		s.announce(nil)
	}
	begun := time.Now()
	p := s.confirm(ctx, epoch)
	s.counters.waited.Observe(time.Since(begun))
	s.counters.unconfirmed.Add(uint64(p.Replicas - p.Applied))
	note(ctx, p)
	return p
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
	var read time.Time
	turn := func() {
		read = time.Now()
		_ = s.catchUp(ctx)
		if s.cfg.Decides && time.Since(looked) >= observeInterval {
			looked = time.Now()
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
			if s.feed.hearing.Load() && time.Since(read) < heardInterval {
				continue
			}
		case <-s.feed.nudged:
		}
		turn()
	}
}

// hear follows the store's notifications, where it has any, until ctx ends.
func (s *Service) hear(ctx context.Context) {
	l, ok := s.cfg.Store.(Listener)
	if !ok {
		return
	}
	for wait := hearFirst; ; wait = min(2*wait, hearLast) {
		err := l.Listen(ctx, func() {
			wait = hearFirst
			s.feed.hearing.Store(true)
			s.Nudge()
		})
		// Connections of the pool are replaced unseen, maybe by ones to another store.
		s.feed.broken.Store(true)
		s.feed.hearing.Store(false)
		if errors.Is(err, ErrNotHeard) {
			if s.cfg.NotHeard != nil {
				s.cfg.NotHeard()
			}
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
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
