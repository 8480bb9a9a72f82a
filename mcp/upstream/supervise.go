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
)

// Run connects, lists the tools, follows list_changed, and connects again with
// back-off (100 ms to 30 s, with jitter) until ctx ends. It waits for its child
// process to be gone and for the calls to return, and runs once.
func (u *Upstream) Run(ctx context.Context) error {
	if !u.running.CompareAndSwap(false, true) {
		return errors.New(u.cfg.Name + ": Run was called before")
	}
	defer u.stop()
	var wait backoff
	for ctx.Err() == nil {
		begun := time.Now()
		s, err := u.connect(ctx)
		if err == nil {
			begun = time.Now()
			err = u.attend(ctx, s)
			u.live.Store(nil)
			u.lose(ctx, err)
			s.close()
		} else if ctx.Err() == nil {
			u.lose(ctx, err)
		}
		if errors.Is(err, errSessionEnded) && time.Since(begun) > firstWait {
			continue
		}
		if ctx.Err() == nil {
			wait.sleep(ctx, time.Since(begun), nil)
		}
	}
	return nil
}

// stop ends what is left when Run ends.
func (u *Upstream) stop() {
	u.live.Store(nil)
	u.calls.close()
	if u.remote != nil {
		u.remote.close()
	}
}

// lose tells of a connection that ended or an attempt that failed.
func (u *Upstream) lose(ctx context.Context, err error) {
	switch {
	case ctx.Err() != nil:
	case errors.Is(err, errSessionEnded):
		u.tell(Status{State: StateConnecting})
	default:
		st := u.Status()
		st.State, st.Problem = StateDown, u.problem(err)
		u.tell(st)
		u.log.Info("upstream is down", zap.String("problem", st.Problem))
	}
}

// tell sets the status. Only Run's goroutine calls it.
func (u *Upstream) tell(st Status) {
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
		s.follow(ctx)
		err = u.list(attempt, s)
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
	u.tell(u.ready(s, ""))
	u.log.Info("upstream is ready", zap.String("protocol", s.version), zap.String("server", s.server))
	return s, nil
}

// dial opens the link; ctx is for its life, attempt for its opening.
func (u *Upstream) dial(ctx, attempt context.Context, s *session) (link, error) {
	switch u.cfg.Transport {
	case keys.TransportStdio:
		return startChild(u, s.changed)
	case keys.TransportSSE:
		return openSSE(ctx, attempt, u.remote, s.changed)
	default:
		return newStreamable(ctx, u.remote, s.changed), nil
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

// list reads the list and hands it on.
func (u *Upstream) list(ctx context.Context, s *session) error {
	l, err := s.list(ctx)
	if err != nil {
		return err
	}
	s.skipped = l.skipped
	if u.cfg.OnTools != nil {
		u.cfg.OnTools(l.tools)
	}
	return nil
}

func (u *Upstream) ready(s *session, problem string) Status {
	return Status{State: StateReady, Problem: problem, Skipped: s.skipped, Protocol: s.version, Server: s.server}
}

// attend reads the list again whenever it changed, until the link is lost.
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
		err := u.list(attempt, s)
		cancel()
		switch {
		case err == nil:
			wait = backoff{}
			u.tell(u.ready(s, ""))
		case ctx.Err() == nil && !isClosed(s.link.lost()):
			// The old list stays; reading it is tried again.
			u.tell(u.ready(s, u.problem(err)))
			again = wait.wait(0, 1)
			s.changed()
		}
		pause.Reset(again)
	}
}
