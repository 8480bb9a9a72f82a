package upstream

import (
	"context"
	"encoding/json"
	"net/netip"
	"sync"
	"time"
)

// Public is public, for an address as text.
func Public(s string) bool { return public(netip.MustParseAddr(s)) }

// ParseFrame reports what parseFrame finds, and what is broken.
func ParseFrame(b []byte) (id, method string, result []byte, broken, err error) {
	f, err := parseFrame(b)
	return string(f.id), f.method, f.result, f.broken, err
}

// Waits is the first n waits of a back-off whose attempts held for lived.
func Waits(n int, random float64, lived time.Duration) (out []time.Duration) {
	var b backoff
	for range n {
		out = append(out, b.wait(lived, random))
	}
	return out
}

// Problem is an error as an upstream's status shows it.
func Problem(u *Upstream, err error) string { return u.problem(err) }

// Broken is broken.
func Broken(err error) error { return broken(err) }

// Running is how many calls run on the live session.
func (u *Upstream) Running() int {
	s := u.live.Load()
	if s == nil {
		return 0
	}
	s.callers.mu.Lock()
	defer s.callers.mu.Unlock()
	return len(s.callers.running)
}

// Route reads and routes lines as they come from an upstream, in a session in
// which the calls run, the first as request 1; on is the request on whose stream
// they come, 0 for none. It returns what the upstream was answered.
func Route(calls []Call, on int64, lines [][]byte) (answers [][]byte) {
	var mu sync.Mutex
	s := newSession(&Config{Asks: true, OnNotification: func(string, json.RawMessage) {}})
	s.asks.Store(true)
	m := mux{session: s, answer: func(b []byte) {
		mu.Lock()
		defer mu.Unlock()
		answers = append(answers, b)
	}}
	var ends []func(bool)
	for i := range calls {
		id := int64(i + 1)
		_, _ = m.register(&request{id: id, notes: calls[i].deliver})
		ends = append(ends, s.callers.begin(context.Background(), id, &calls[i]))
	}
	for _, line := range lines {
		if f, err := parseFrame(line); err == nil {
			m.route(f, on)
		}
	}
	for _, end := range ends {
		end(true)
	}
	return answers
}

// OwnerAfter is whose all calls are, when one of owner's runs and n were given up.
func OwnerAfter(owner string, n int) string {
	var c callers
	for id := range int64(n) {
		c.begin(context.Background(), id+1, &Call{Owner: owner})(false)
	}
	c.begin(context.Background(), int64(n)+1, &Call{Owner: owner})
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.owner()
}
