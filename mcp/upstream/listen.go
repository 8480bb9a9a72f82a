package upstream

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	"go.uber.org/zap"

	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
)

const (
	// gatherTime is how long changes of what is subscribed to are gathered.
	gatherTime = 20 * time.Millisecond
	// ackTime is how long the acknowledgement may take; a stream that is open and
	// has none counts as acknowledged then.
	ackTime = 5 * time.Second
)

// listens are the open subscriptions/listen requests of a session, by id.
type listens struct {
	mu   sync.Mutex
	open map[int64]*listening
}

// listening is one such request.
type listening struct {
	uris   []string
	acked  chan json.RawMessage // the filter that the upstream honours
	done   chan struct{}        // closed when it has ended; then f and err are why
	f      frame
	err    error
	cancel context.CancelFunc
	begun  time.Time
}

// end ends it and waits until it has.
func (l *listening) end() {
	if l != nil {
		l.cancel()
		<-l.done
	}
}

// over is closed when it has ended; one that is not there never does.
func (l *listening) over() <-chan struct{} {
	if l == nil {
		return nil
	}
	return l.done
}

// listen keeps one subscriptions/listen request open (MCP 2026-07-28,
// basic/patterns/subscriptions), for the lists and for the resources that are
// wanted. For others it opens another one, and ends the old one when the new one
// is acknowledged, so that nothing falls between. Where none was open, the
// acknowledgement counts as a change: what happened before it was not announced.
// flows is called when announcements begin to flow.
func (s *session) listen(ctx context.Context, w *wishes, flows func()) {
	defer w.settleAll(nil) // those are kept for the next session
	var wait backoff
	var now *listening
	defer func() { now.end() }()
	batch := maxSubscriptions // of resources not yet agreed to, to ask for at once
	for ctx.Err() == nil {
		agreed, waiting := w.wanted()
		if len(waiting) == 0 {
			batch = maxSubscriptions
		}
		fresh := waiting[:min(batch, len(waiting))]
		uris := slices.Sorted(slices.Values(slices.Concat(agreed, fresh)))
		switch {
		case now != nil && slices.Equal(now.uris, uris):
			for _, uri := range fresh {
				w.settle(uri, nil) // left and wanted again in the meantime
			}
			if len(fresh) > 0 {
				continue
			}
			if !s.idle(ctx, w, now) {
				return
			}
			if isClosed(now.done) {
				if !wait.sleep(ctx, time.Since(now.begun), s.link.lost()) {
					return
				}
				now = nil
			}
			continue
		case len(uris) == 0 && !s.offers.announce():
			flows()
			now.end()
			now = nil
			if !s.idle(ctx, w, nil) {
				return
			}
			continue
		}
		next := s.open(ctx, uris)
		honoured, ok := next.acknowledged()
		if !ok {
			if next.f.err != nil {
				flows()
			}
			if !s.refused(ctx, w, next, agreed, fresh, &batch, now == nil) ||
				!wait.sleep(ctx, time.Since(next.begun), s.link.lost()) {
				return
			}
			continue
		}
		next.uris = w.honour(uris, honoured)
		if now == nil || isClosed(now.done) {
			s.changed(everyKind)
		}
		flows()
		now.end()
		now = next
	}
}

// acknowledged waits for the upstream's word; false = the request ended without.
func (l *listening) acknowledged() (honoured json.RawMessage, ok bool) {
	late := time.NewTimer(ackTime)
	defer late.Stop()
	select {
	case honoured = <-l.acked:
		return honoured, true
	case <-late.C:
		return nil, true
	case <-l.done:
	}
	select {
	case honoured = <-l.acked: // and ended at once
		return honoured, true
	default:
		return nil, false
	}
}

// idle waits for something to do.
func (s *session) idle(ctx context.Context, w *wishes, now *listening) bool {
	select {
	case <-w.wake:
		return pause(ctx, gatherTime)
	case <-now.over():
		return true
	case <-s.link.lost():
	case <-ctx.Done():
	}
	return false
}

// refused sorts out why a subscriptions/listen request ended before it was
// acknowledged; false = it is not asked again. The upstream does not say which
// resource it minds, so those that are new are asked for one at a time then.
func (s *session) refused(ctx context.Context, w *wishes, l *listening, agreed, fresh []string, batch *int, alone bool) bool {
	switch {
	case l.err != nil || l.f.err == nil:
		return true // the connection broke, or it ended at once
	case l.f.err.Code == mcpgo.METHOD_NOT_FOUND:
		for {
			w.settleAll(ErrUnsupported)
			select {
			case <-w.wake:
			case <-s.link.lost():
				return false
			case <-ctx.Done():
				return false
			}
		}
	case len(fresh) > 1:
		*batch = 1
	case len(fresh) == 1:
		w.settle(fresh[0], l.f.err)
	case alone:
		// It agreed to them in an earlier session.
		s.tellRefused(len(agreed))
		for _, uri := range agreed {
			w.settle(uri, l.f.err)
		}
	}
	return true
}

// tellRefused logs a refusal that nobody waits for.
func (s *session) tellRefused(resources int) {
	if s.cfg.Log != nil && resources > 0 {
		s.cfg.Log.Info("upstream refuses to tell of resources that clients subscribed to",
			zap.String("upstream", s.cfg.Name), zap.Int("resources", resources))
	}
}

// open sends a subscriptions/listen request.
func (s *session) open(ctx context.Context, uris []string) *listening {
	r := s.request(mcpgo.MethodSubscriptionsListen, `"notifications":`+s.offers.filter(uris))
	r.told = true
	l := &listening{uris: uris, acked: make(chan json.RawMessage, 1), done: make(chan struct{}), begun: time.Now()}
	ctx, l.cancel = context.WithCancel(ctx)
	s.streams.mu.Lock()
	if s.streams.open == nil {
		s.streams.open = make(map[int64]*listening)
	}
	s.streams.open[r.id] = l
	s.streams.mu.Unlock()
	s.wg.Go(func() {
		defer close(l.done)
		defer l.cancel()
		l.f, l.err = s.link.exchange(ctx, r)
		s.streams.mu.Lock()
		delete(s.streams.open, r.id)
		s.streams.mu.Unlock()
	})
	return l
}

// listening is the open request with this id.
func (s *session) listening(id int64) *listening {
	s.streams.mu.Lock()
	defer s.streams.mu.Unlock()
	return s.streams.open[id]
}

// acknowledged takes notifications/subscriptions/acknowledged. It names its
// request; one that does not came on that request's own stream.
func (s *session) acknowledged(params json.RawMessage, on int64) {
	id := on
	if said := rawjson.Field(rawjson.Field(params, "_meta"), mcpgo.MetaKeySubscriptionID); said != nil {
		if text := rawjson.Text(said); text != "" {
			said = json.RawMessage(text)
		}
		if n, ok := number(said); ok {
			id = n
		}
	}
	if l := s.listening(id); l != nil {
		select {
		case l.acked <- rawjson.Field(params, "notifications"):
		default:
		}
	}
}

// ended takes a notifications/cancelled by which the upstream ends a
// subscriptions/listen request (MCP 2026-07-28, basic/patterns/subscriptions).
func (s *session) ended(params json.RawMessage) {
	if id, ok := number(rawjson.Field(params, "requestId")); ok {
		if l := s.listening(id); l != nil {
			l.cancel()
		}
	}
}

// honour settles the resources that were asked for, by the filter that the
// upstream acknowledged; nil = it did not say. Those that it honours are returned.
func (w *wishes) honour(uris []string, filter json.RawMessage) []string {
	if !rawjson.IsObject(filter) {
		for _, uri := range uris {
			w.settle(uri, nil)
		}
		return uris
	}
	honoured := map[string]bool{}
	_ = rawjson.Elements(rawjson.Field(filter, "resourceSubscriptions"), func(uri []byte) error {
		honoured[rawjson.Text(uri)] = true
		return nil
	})
	var out []string
	for _, uri := range uris {
		if honoured[uri] {
			w.settle(uri, nil)
			out = append(out, uri)
		} else {
			w.settle(uri, ErrUnsupported)
		}
	}
	return out
}
