package main

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

const (
	lookEvery   = 500 * time.Millisecond
	nearWindow  = 10 * time.Second
	farEvery    = 15 * time.Second
	mostAwayLag = 5 * time.Second
)

// follower reads a trail again and again, and shows each event once.
//
// Events have their ids when they are made, and are written in batches, by
// several processes whose clocks differ: one that is written now may have a
// smaller id than one that was shown before. A cursor would pass it over. So
// each look goes back from the newest for a while, past what was seen, and a
// set of ids tells what is new: every time for nearWindow, which covers what a
// batch waits for, and now and then, and after each failure, for lookback,
// which covers a process that did not reach the store.
//
// How far back is counted from the newest event that was seen or from this
// machine's clock, whichever is earlier: a clock that is ahead, its own or one of
// the servers', makes the window longer, never shorter.
type follower struct {
	ring     keyring
	query    keys.AuditQuery
	lookback time.Duration
	now      func() time.Time
	wait     func(context.Context, time.Duration)

	seen   map[string]struct{} // ids from bottom on
	bottom string              // below it nothing is new any more
	newest string
	far    time.Time // when the last far look began
}

func newFollower(ring keyring, q keys.AuditQuery, lookback time.Duration) *follower {
	return &follower{ring: ring, query: q, lookback: lookback, now: time.Now, wait: pause, seen: map[string]struct{}{}}
}

// run shows the last events and then new ones, until ctx ends or show fails.
// Once the trail was read, it waits through times when it can't be, and says so.
func (f *follower) run(ctx context.Context, last int, show func([]wire.AuditEvent) error, say func(string)) error {
	if err := f.begin(ctx, last, show); err != nil {
		return err
	}
	lag := lookEvery
	for {
		f.wait(ctx, lag)
		if ctx.Err() != nil {
			return nil
		}
		began := f.now()
		window := nearWindow
		if began.Sub(f.far) >= farEvery || lag > lookEvery {
			window = f.lookback
		}
		events, err := f.look(ctx, window)
		var away *awayError
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &away):
			if lag == lookEvery {
				message, _ := describe(err)
				say("waiting: " + message)
			}
			lag = min(2*lag, mostAwayLag)
			continue
		case err != nil:
			return err
		}
		if lag > lookEvery {
			lag = lookEvery
			say("going on")
		}
		if window == f.lookback {
			f.far = began
		}
		if err := show(events); err != nil {
			return err
		}
	}
}

// begin shows the last events, and takes those of the lookback for seen.
func (f *follower) begin(ctx context.Context, last int, show func([]wire.AuditEvent) error) error {
	f.far = f.now()
	var first []wire.AuditEvent
	shown := false
	showFirst := func() error {
		shown = true
		slices.Reverse(first)
		return show(first)
	}
	floor := ""
	err := f.back(ctx, func(e wire.AuditEvent) (more bool) {
		if f.newest == "" {
			f.newest = e.ID
			floor = f.floor(f.lookback)
		}
		if len(first) < last {
			first = append(first, e)
		}
		if e.ID >= floor {
			f.seen[e.ID] = struct{}{}
		}
		return e.ID >= floor || len(first) < last
	}, func() error {
		if len(first) == last && !shown {
			return showFirst()
		}
		return nil
	})
	if err == nil && !shown {
		err = showFirst()
	}
	f.bottom = floor
	return err
}

// look reads back for the window and answers what is new, oldest first.
// Nothing is taken for seen unless all was read.
func (f *follower) look(ctx context.Context, window time.Duration) (fresh []wire.AuditEvent, err error) {
	floor := max(f.floor(window), f.bottom)
	err = f.back(ctx, func(e wire.AuditEvent) (more bool) {
		if e.ID < floor {
			return false
		}
		if _, known := f.seen[e.ID]; !known {
			fresh = append(fresh, e)
		}
		return true
	}, func() error { return nil })
	if err != nil {
		return nil, err
	}
	for _, e := range fresh {
		f.seen[e.ID] = struct{}{}
		f.newest = max(f.newest, e.ID)
	}
	f.forget()
	slices.SortFunc(fresh, func(a, b wire.AuditEvent) int { return strings.Compare(a.ID, b.ID) })
	return fresh, nil
}

// forget drops ids that no look goes back to. What is between this bottom and
// the next one stays: the bottom only rises.
func (f *follower) forget() {
	bottom := f.floor(f.lookback)
	if bottom <= f.bottom {
		return
	}
	f.bottom = bottom
	for id := range f.seen {
		if id < bottom {
			delete(f.seen, id)
		}
	}
}

// back reads events, newest first, until each says that there is no need of
// more; after runs behind each page.
func (f *follower) back(ctx context.Context, each func(wire.AuditEvent) bool, after func() error) error {
	q := f.query
	for {
		page, err := f.ring.Events(ctx, q)
		if err != nil {
			return err
		}
		more := page.Next != nil
		for _, e := range page.Events {
			if !each(e) {
				more = false
				break
			}
		}
		if err := after(); err != nil || !more {
			return err
		}
		q.Before = *page.Next
	}
}

// floor is the smallest id (UUIDv7, RFC 9562 section 5.7: it begins with the
// milliseconds) within the window; "" before anything was seen.
func (f *follower) floor(window time.Duration) string {
	if f.newest == "" {
		return ""
	}
	var b [6]byte
	at := min(millisOf(f.newest), f.now().UnixMilli()) - window.Milliseconds()
	for i := range b {
		b[i] = byte(max(at, 0) >> (40 - 8*i))
	}
	text := hex.EncodeToString(b[:])
	return text[:8] + "-" + text[8:]
}

// millisOf is the time within an id, 0 where it is none.
func millisOf(id string) (ms int64) {
	head, err := hex.DecodeString(strings.ReplaceAll(id[:min(len(id), 13)], "-", ""))
	if err != nil {
		return 0
	}
	for _, b := range head {
		ms = ms<<8 | int64(b)
	}
	return ms
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
