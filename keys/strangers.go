package keys

import (
	"context"
	"encoding/binary"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// What tokens that nobody knows may cost the store. A client with a key has one
// or a few of them, so that a host may be wrong a hundred times at once and five
// times a second from then on; all hosts together ten times as often.
const (
	strangersBurst = 100
	strangersEvery = 200 * time.Millisecond
	strangersHosts = 10 // as many hosts' worth for all together

	// A token that comes again is looked up apart from those, for a flood of
	// invented ones has no reason to send one twice, and a client that was told
	// to has.
	againBurst = 100
	againEvery = 10 * time.Millisecond

	// lookupsAtOnce leaves connections of the store to everything else.
	lookupsAtOnce = 4
	lookupWait    = 10 * time.Second
	// refusedFor is what a client is told to wait.
	refusedFor = time.Second
)

// strangers bounds what tokens that are not in the cache may ask of the store.
// What counts against the bounds is a token that turns out to be nobody's: a key
// that is only not in the cache costs nobody a turn, and one that was found
// before needs none.
type strangers struct {
	hosts HostLimit
	all   *rate.Limiter
	again *rate.Limiter
	slots chan struct{}

	found   marks // tokens that were in the store when they were looked up last
	refused marks // tokens that were not looked up
}

func newStrangers() *strangers {
	return &strangers{
		hosts: HostLimit{Burst: strangersBurst, Every: strangersEvery},
		all:   rate.NewLimiter(rate.Every(strangersEvery/strangersHosts), strangersBurst*strangersHosts),
		again: rate.NewLimiter(rate.Every(againEvery), againBurst),
		slots: make(chan struct{}, lookupsAtOnce),
	}
}

type remoteKey struct{}

// WithRemote says from which address (host:port) what is done under ctx was
// asked for. Nothing is allowed for it: it is only whom a flood is charged to.
func WithRemote(ctx context.Context, addr string) context.Context {
	return context.WithValue(ctx, remoteKey{}, addr)
}

// enter waits for a slot, until leave is called. *BusyError, too, for a store
// that has all slots taken for long.
func (s *strangers) enter(ctx context.Context) (leave func(), err error) {
	select {
	case s.slots <- struct{}{}:
		return func() { <-s.slots }, nil
	default:
	}
	late := time.NewTimer(lookupWait)
	defer late.Stop()
	select {
	case s.slots <- struct{}{}:
		return func() { <-s.slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-late.C:
		return nil, &BusyError{RetryAfter: refusedFor}
	}
}

// admit tells whether a token may be looked up now, and how to charge for it if
// it is nobody's. Called in a slot: of those that wait, each sees what those
// before it were charged.
func (s *strangers) admit(ctx context.Context, hash [32]byte, now time.Time) (charge func(), ok bool) {
	if s.found.has(hash) {
		return func() { s.found.drop(hash) }, true
	}
	addr, _ := ctx.Value(remoteKey{}).(string)
	if s.hosts.left(addr, now) && s.all.TokensAt(now) >= 1 {
		return func() { s.hosts.charge(addr, now); s.all.ReserveN(now, 1) }, true
	}
	if s.refused.has(hash) && s.again.TokensAt(now) >= 1 {
		return func() { s.again.ReserveN(now, 1) }, true
	}
	s.refused.put(hash)
	return nil, false
}

// marks is a set of hashes that never grows: each has one place, which the next
// one that falls on it takes. The hashes are keyed, so that nobody can aim.
type marks [1 << 16]atomic.Uint64

func place(hash [32]byte) (at uint16, mark uint64) {
	return binary.BigEndian.Uint16(hash[:]), binary.BigEndian.Uint64(hash[2:]) | 1
}

func (m *marks) has(hash [32]byte) bool {
	at, mark := place(hash)
	return m[at].Load() == mark
}

func (m *marks) put(hash [32]byte) {
	at, mark := place(hash)
	m[at].Store(mark)
}

func (m *marks) drop(hash [32]byte) {
	at, mark := place(hash)
	m[at].CompareAndSwap(mark, 0)
}
