package upstream

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// maxSubscriptions is how many resources of one upstream may be subscribed to.
const maxSubscriptions = 10_000

// wishes are what the clients want of an upstream beyond their calls: updates of
// resources and a log level. They outlive its sessions, each of which makes them
// known anew (follow.go).
type wishes struct {
	mu    sync.Mutex
	level string
	uris  map[string]*wish
	wake  chan struct{} // has one element when something changed
}

// wish is a resource whose updates are wanted.
type wish struct {
	users   int
	asked   bool          // settled is closed
	settled chan struct{} // closed when the upstream answered, or went away
	err     error         // why it refused; set before
}

// Subscribe asks for notifications/resources/updated of a resource, which reach
// Config.OnNotification (maybe twice, and maybe for a part of it under another
// uri), until stop is called. The subscriptions of several clients to one uri are
// one at the upstream, which ends with the last of them; it is made again after
// every reconnect. When the upstream is down now, it is asked once it is back, and
// a refusal then is only logged. The error of a refusal is ErrUnsupported or the
// upstream's own *Error; stop is never nil.
func (u *Upstream) Subscribe(ctx context.Context, uri string) (stop func(), err error) {
	s := u.live.Load()
	w, err := u.subscribe(ctx, s, uri)
	if err != nil {
		return func() {}, fmt.Errorf("%s: subscribing: %w", u.cfg.Name, err)
	}
	return sync.OnceFunc(func() { u.wishes.leave(uri, w) }), nil
}

func (u *Upstream) subscribe(ctx context.Context, s *session, uri string) (*wish, error) {
	if err := checkNamed(KindResource, uri); err != nil {
		return nil, err
	}
	switch {
	case isClosed(u.over):
		return nil, ErrDown
	case s != nil && !s.offers.subscribe():
		return nil, ErrUnsupported
	}
	w, err := u.wishes.join(uri)
	if err != nil || s == nil {
		return w, err
	}
	select {
	case <-w.settled:
		err = w.err
	case <-u.over:
		err = ErrDown
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil {
		u.wishes.leave(uri, w)
	}
	return w, err
}

// SetLogLevel sets the least level of notifications/message that an upstream of
// the legacy era sends (logging/setLevel), now and after every reconnect. It is the
// whole connection's, so it must be the least that any of the clients wants. One of
// the modern era is asked with each call (Call.LogLevel). The error is
// ErrUnsupported where the upstream sends none.
func (u *Upstream) SetLogLevel(level string) error {
	u.wishes.mu.Lock()
	u.wishes.level = level
	u.wishes.mu.Unlock()
	u.wishes.signal()
	if s := u.live.Load(); s != nil && s.offers.Logging == nil {
		return fmt.Errorf("%s: logging: %w", u.cfg.Name, ErrUnsupported)
	}
	return nil
}

func (w *wishes) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// join adds a user to a resource.
func (w *wishes) join(uri string) (*wish, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	one := w.uris[uri]
	if one == nil {
		if len(w.uris) >= maxSubscriptions {
			return nil, fmt.Errorf("more than %d resources are subscribed to; unsubscribe from some first", maxSubscriptions)
		}
		if w.uris == nil {
			w.uris = make(map[string]*wish)
		}
		one = &wish{settled: make(chan struct{})}
		w.uris[uri] = one
		w.signal()
	}
	one.users++
	return one, nil
}

// leave takes a user away.
func (w *wishes) leave(uri string, one *wish) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if one.users--; one.users == 0 && w.uris[uri] == one {
		delete(w.uris, uri)
		w.signal()
	}
}

// settle notes the upstream's answer to the wish for uri, and forgets one that it
// refuses. It was agreed to before when again is true, so that nobody waits.
func (w *wishes) settle(uri string, err error) (again bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	one := w.uris[uri]
	if one == nil {
		return false
	}
	if err != nil {
		delete(w.uris, uri)
	}
	again = one.asked
	if !again {
		one.asked, one.err = true, err
		close(one.settled)
	}
	return again
}

// settleAll settles those that wait.
func (w *wishes) settleAll(err error) {
	_, waiting := w.wanted()
	for _, uri := range waiting {
		w.settle(uri, err)
	}
}

// wanted are the resources that the upstream agreed to once, and those whose users
// wait for its answer; both sorted.
func (w *wishes) wanted() (agreed, waiting []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for uri, one := range w.uris {
		if one.asked {
			agreed = append(agreed, uri)
		} else {
			waiting = append(waiting, uri)
		}
	}
	slices.Sort(agreed)
	slices.Sort(waiting)
	return agreed, waiting
}

// differences are what to subscribe to and what to leave, given what there is.
func (w *wishes) differences(have map[string]bool) (add, remove []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for uri := range w.uris {
		if !have[uri] {
			add = append(add, uri)
		}
	}
	for uri := range have {
		if w.uris[uri] == nil {
			remove = append(remove, uri)
		}
	}
	return add, remove
}

// wants reports whether a resource is still wanted.
func (w *wishes) wants(uri string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.uris[uri] != nil
}

func (w *wishes) logLevel() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.level
}
