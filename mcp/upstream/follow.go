package upstream

import (
	"context"
	"errors"
	"sync"
	"time"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
)

// settleTime is how long reading the lists waits for the announcements.
const settleTime = time.Second

// follow begins to listen for announcements, and waits a moment until they
// flow, so that no change falls between reading the list and listening. It makes
// the clients' wishes known, too.
func (s *session) follow(ctx context.Context, w *wishes) {
	ctx, s.cancel = context.WithCancel(ctx)
	s.wg.Go(func() { s.hand(ctx) })
	subscribe, settled := s.offers.subscribe(), make(chan struct{})
	flows := sync.OnceFunc(func() { close(settled) })
	if !subscribe {
		w.settleAll(ErrUnsupported)
	}
	switch announces := s.offers.announce(); {
	case s.modern && (announces || subscribe):
		s.wg.Go(func() {
			defer flows()
			s.listen(ctx, w, flows)
		})
	case s.modern:
		return
	default:
		if subscribe || s.offers.Logging != nil {
			s.wg.Go(func() { s.tend(ctx, w) })
		}
		if !announces && !subscribe && !(s.cfg.Asks && s.stateful()) {
			return
		}
		s.wg.Go(func() {
			defer flows()
			s.link.stream(ctx, func() {
				if announces {
					s.changed(everyKind)
				}
				flows()
			})
		})
		if !announces && !subscribe {
			return // what is asked on it, is asked during a call
		}
	}
	select {
	case <-settled:
	case <-s.changes:
	case <-s.link.lost():
	case <-time.After(settleTime):
	}
	select {
	case <-s.changes: // the lists are read now anyway
	default:
	}
}

// stateful says that the upstream keeps a session, which its own stream is of. One
// that keeps none can ask on the stream of a call only; some of them then take the
// answer for the other stream's, if there is one.
func (s *session) stateful() bool {
	l, ok := s.link.(*streamable)
	return !ok || l.session() != ""
}

// hand gives the notifications to the Config's function, one after the other.
func (s *session) hand(ctx context.Context) {
	if tell := s.cfg.OnNotification; tell != nil {
		_, _ = s.notices.wait(ctx, func(n note) { tell(n.method, n.params) })
	}
}

// tend makes the wishes known to an upstream of the legacy era.
func (s *session) tend(ctx context.Context, w *wishes) {
	defer w.settleAll(nil) // those are kept for the next session
	have, level := map[string]bool{}, ""
	for ctx.Err() == nil {
		if want := w.logLevel(); want != level && s.offers.Logging != nil {
			_, _ = s.order(ctx, mcpgo.MethodSetLogLevel, "level", want)
			level = want
			continue
		}
		add, remove := w.differences(have)
		if !s.offers.subscribe() || len(add)+len(remove) == 0 {
			select {
			case <-w.wake:
			case <-s.link.lost():
				return
			case <-ctx.Done():
			}
			continue
		}
		for _, uri := range remove {
			delete(have, uri)
			_, _ = s.order(ctx, mcpgo.MethodResourcesUnsubscribe, "uri", uri)
		}
		refused := 0
		for _, uri := range add {
			if !w.wants(uri) {
				continue
			}
			f, err := s.order(ctx, mcpgo.MethodResourcesSubscribe, "uri", uri)
			switch {
			case isClosed(s.link.lost()) || ctx.Err() != nil:
				return
			case err == nil && f.err != nil:
				err = f.err
			}
			if err == nil {
				have[uri] = true
			}
			if w.settle(uri, err) && err != nil {
				refused++
			}
		}
		s.tellRefused(refused)
	}
}

// order sends one request with one member, and waits for its answer no longer
// than for a list's.
func (s *session) order(ctx context.Context, method mcpgo.MCPMethod, member, value string) (frame, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.ConnectTimeout)
	defer cancel()
	f, err := s.ask(ctx, method, string(rawjson.Quote(member))+":"+string(rawjson.Quote(value)))
	if errors.Is(err, context.DeadlineExceeded) {
		err = step(string(method), err)
	}
	return f, err
}
