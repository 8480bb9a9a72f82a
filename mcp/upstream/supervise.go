package upstream

import (
	"context"
	"errors"
	"reflect"
	"time"

	"go.uber.org/zap"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

const (
	// probeTime is how long an answer to server/discover may take before
	// initialize goes out as well.
	probeTime = 3 * time.Second
	// listPause is the shortest time between two readings of the list, however
	// often the upstream says that it changed.
	listPause = 100 * time.Millisecond
	// renewPause is the shortest time between two renewals of a session that
	// follow at once; an upstream that forgets faster counts as down.
	renewPause = time.Second
)

// Run connects, lists the tools, follows list_changed, and connects again with
// back-off (100 ms to 30 s, with jitter) until ctx ends. It waits for its child
// process to be gone and for the calls to return, and runs once.
func (u *Upstream) Run(ctx context.Context) error {
	if !u.running.CompareAndSwap(false, true) {
		return errors.New(u.cfg.Name + ": Run was called before")
	}
	if u.inside != nil {
		defer u.inside.run()()
	}
	defer u.stop()
	var wait backoff
	var renewed time.Time
	for ctx.Err() == nil {
		begun := time.Now()
		s, err := u.connect(ctx)
		renew := false
		if err == nil {
			begun = time.Now()
			err = u.attend(ctx, s)
			renew = errors.Is(err, errSessionEnded) && time.Since(renewed) > renewPause
			renewed = time.Now()
		}
		u.lose(ctx, err, renew)
		if s != nil {
			s.close()
		}
		if !renew {
			wait.sleep(ctx, time.Since(begun), nil)
		}
	}
	return nil
}

// stop ends what is left when Run ends.
func (u *Upstream) stop() {
	u.live.Store(nil)
	close(u.over)
	u.calls.close()
	if u.remote != nil {
		u.remote.close()
	}
}

// lose tells of a connection that ended or an attempt that failed. While a
// session is being renewed, calls find the old one, which has them wait.
func (u *Upstream) lose(ctx context.Context, err error, renew bool) {
	st := u.Status()
	if renew {
		st.State = StateConnecting
		u.tell(st)
		return
	}
	u.live.Store(nil)
	if ctx.Err() != nil {
		return
	}
	st.State, st.Problem = StateDown, u.problem(err)
	if u.tell(st) {
		u.log.Warn("upstream is down", zap.String("problem", st.Problem))
	}
}

// tell sets the status and reports whether it is another. Only Run's goroutine
// calls it.
func (u *Upstream) tell(st Status) bool {
	u.mu.Lock()
	same := reflect.DeepEqual(u.status, st)
	if !same {
		u.status = st
		close(u.renewed)
		u.renewed = make(chan struct{})
	}
	u.mu.Unlock()
	if !same && u.cfg.OnStatus != nil {
		u.cfg.OnStatus(st)
	}
	return !same
}

// connect makes one attempt: a link, the handshake, the list.
func (u *Upstream) connect(ctx context.Context) (*session, error) {
	known := u.era
	u.era = eraUnknown
	attempt, cancel := context.WithTimeout(ctx, u.cfg.ConnectTimeout)
	defer cancel()
	s := newSession(&u.cfg)
	link, err := u.dial(ctx, attempt, s)
	if err != nil {
		return nil, err
	}
	s.link = link
	if known == eraUnknown && u.cfg.Transport == keys.TransportSSE {
		known = eraLegacy // the modern era does not have this transport
	}
	err = s.handshake(attempt, known, min(probeTime, u.cfg.ConnectTimeout/2))
	if err != nil && known == eraUnknown && isClosed(link.lost()) && u.cfg.Transport == keys.TransportStdio {
		// Some old servers end at a first message that is not initialize.
		u.era = eraLegacy
	}
	if err == nil {
		s.follow(ctx, &u.wishes)
		s.dirty.Store(0)
		err = s.readLists(attempt, everyKind)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	u.era = eraLegacy
	if s.modern {
		u.era = eraModern
	}
	u.live.Store(s)
	u.publish(s)
	u.log.Info("upstream is ready", zap.String("protocol", s.version), zap.String("server", s.server))
	return s, nil
}

// dial opens the link; ctx is for its life, attempt for its opening.
func (u *Upstream) dial(ctx, attempt context.Context, s *session) (link, error) {
	switch u.cfg.Transport {
	case keys.TransportStdio:
		return startChild(u, s)
	case keys.TransportSSE:
		return openSSE(ctx, attempt, u.remote, s)
	default: // HTTP, and embedded
		return newStreamable(ctx, u.remote, s), nil
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// publish hands on the lists as they were read.
func (u *Upstream) publish(s *session) {
	lists, _ := s.listed()
	if u.cfg.OnLists != nil {
		u.cfg.OnLists(lists)
	}
	u.tell(u.ready(s, ""))
}

func (u *Upstream) ready(s *session, problem string) Status {
	_, skipped := s.listed()
	return Status{State: StateReady, Problem: problem, Skipped: skipped, Protocol: s.version, Server: s.server}
}

// attend reads a list again whenever it changed, until the link is lost.
func (u *Upstream) attend(ctx context.Context, s *session) error {
	var wait backoff
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-pause.C:
		case <-s.link.lost():
			return s.link.cause()
		case <-ctx.Done():
			return ctx.Err()
		}
		select {
		case <-s.changes:
		case <-s.link.lost():
			return s.link.cause()
		case <-ctx.Done():
			return ctx.Err()
		}
		again := listPause
		attempt, cancel := context.WithTimeout(ctx, u.cfg.ConnectTimeout)
		which := kindSet(s.dirty.Swap(0))
		err := s.readLists(attempt, which)
		cancel()
		switch {
		case err == nil:
			wait = backoff{}
			u.publish(s)
		case errors.Is(err, ErrDown):
			return err
		case ctx.Err() == nil && !isClosed(s.link.lost()):
			// The old list stays; reading it is tried again.
			u.tell(u.ready(s, u.problem(err)))
			again = wait.wait(0, 1)
			s.changed(which)
		}
		pause.Reset(again)
	}
}
