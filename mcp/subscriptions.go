package mcp

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

const (
	// maxSubscribed is how many resources one session, or one subscriptions/listen,
	// may be subscribed to.
	maxSubscribed = 1000
	// maxSubscribedKey is how many one key may, over all of them: fewer than may be
	// asked of one upstream, so that no key takes it from the others.
	maxSubscribedKey = 5000
)

// subscription is one resource that a client wants to be told of, at one
// instance. That instance stays the one, whatever else gets a resource of the uri.
type subscription struct {
	owner    *subscriptions
	uri      string
	instance string          // its id
	within   *policy.Session // what it was asked in, narrowed to the instance
	release  func()          // of its place among its key's

	// Under the mutex of the table.
	mount *mount // whose upstream is asked
	stop  func() // ends it there; nil = it is not asked yet
	gone  bool
}

// subscriptions are what one client is subscribed to: those of a legacy session,
// which last as long as it does, or those of one subscriptions/listen.
type subscriptions struct {
	stream atomic.Pointer[stream] // that tells of updates; nil = none is open

	mu   sync.Mutex
	all  []*subscription
	due  []update
	over bool
}

// update is one that a client is to be told of: of a resource it is subscribed
// to, or of one below it.
type update struct {
	uri string
	of  *subscription
}

// put adds s unless it is there; ok is false when there are as many as may be, or
// when all is over.
func (o *subscriptions) put(s *subscription) (added, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.over {
		return false, false
	}
	if slices.ContainsFunc(o.all, func(other *subscription) bool { return other.uri == s.uri && other.instance == s.instance }) {
		return false, true
	}
	if len(o.all) >= maxSubscribed {
		return false, false
	}
	o.all = append(o.all, s)
	return true, true
}

// list answers those that match.
func (o *subscriptions) list(match func(*subscription) bool) []*subscription {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(o.all), func(s *subscription) bool { return !match(s) })
}

func (o *subscriptions) remove(s *subscription) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = slices.DeleteFunc(o.all, func(other *subscription) bool { return other == s })
	o.due = slices.DeleteFunc(o.due, func(u update) bool { return u.of == s })
}

// mark notes updates that are to be told of, each once, however often they came.
// What comes while no stream is open is told when one is.
func (o *subscriptions) mark(updates ...update) {
	o.mu.Lock()
	for _, u := range updates {
		if !slices.Contains(o.all, u.of) || len(o.due) >= 2*maxSubscribed ||
			slices.ContainsFunc(o.due, func(other update) bool { return other.uri == u.uri }) {
			continue
		}
		o.due = append(o.due, u)
	}
	o.mu.Unlock()
	o.signal()
}

// signal wakes the stream when something is due.
func (o *subscriptions) signal() {
	o.mu.Lock()
	due := len(o.due) > 0
	o.mu.Unlock()
	if st := o.stream.Load(); due && st != nil {
		st.signal()
	}
}

func (o *subscriptions) takeDue() []update {
	o.mu.Lock()
	defer o.mu.Unlock()
	due := o.due
	o.due = nil
	return due
}

// subscriptionTable holds the subscriptions of all clients by instance and uri.
type subscriptionTable struct {
	quota *quota

	mu  sync.Mutex
	all map[string]map[string][]*subscription
}

func newSubscriptionTable() *subscriptionTable {
	return &subscriptionTable{quota: newQuota(maxSubscribedKey), all: map[string]map[string][]*subscription{}}
}

func (t *subscriptionTable) add(s *subscription) {
	t.mu.Lock()
	defer t.mu.Unlock()
	uris := t.all[s.instance]
	if uris == nil {
		uris = map[string][]*subscription{}
		t.all[s.instance] = uris
	}
	uris[s.uri] = append(uris[s.uri], s)
}

// ask notes that m's upstream was asked for s, and how to end that. What was
// asked before is ended, and m too when s is gone.
func (t *subscriptionTable) ask(s *subscription, m *mount, stop func()) {
	t.mu.Lock()
	before := s.stop
	if s.gone {
		before = stop
	} else {
		s.mount, s.stop = m, stop
	}
	t.mu.Unlock()
	if before != nil {
		before()
	}
}

func (t *subscriptionTable) asked(s *subscription, m *mount) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return s.mount == m
}

// drop ends one for good.
func (t *subscriptionTable) drop(s *subscription) {
	s.owner.remove(s)
	t.mu.Lock()
	stop := s.stop
	s.gone, s.stop = true, nil
	uris := t.all[s.instance]
	uris[s.uri] = slices.DeleteFunc(uris[s.uri], func(other *subscription) bool { return other == s })
	if len(uris[s.uri]) == 0 {
		delete(uris, s.uri)
	}
	if len(uris) == 0 {
		delete(t.all, s.instance)
	}
	t.mu.Unlock()
	s.release()
	if stop != nil {
		stop()
	}
}

// end drops all of one client's; none are added after.
func (t *subscriptionTable) end(o *subscriptions) {
	o.mu.Lock()
	o.over = true
	all := slices.Clone(o.all)
	o.mu.Unlock()
	for _, s := range all {
		t.drop(s)
	}
}

// of are the subscriptions to an instance's resource, or to one above it: an
// upstream may tell of a part of what was subscribed to (2025-11-25,
// server/resources).
func (t *subscriptionTable) of(instance, uri string) (found []*subscription) {
	t.mu.Lock()
	defer t.mu.Unlock()
	uris := t.all[instance]
	found = append(found, uris[uri]...)
	for end := strings.LastIndexAny(uri, "/?#"); end > 0; end = strings.LastIndexAny(uri[:end], "/?#") {
		found = append(found, uris[uri[:end]]...)
		if end+1 < len(uri) {
			found = append(found, uris[uri[:end+1]]...)
		}
	}
	return found
}

func (t *subscriptionTable) ofInstance(instance string) (found []*subscription) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, list := range t.all[instance] {
		found = append(found, list...)
	}
	return found
}
