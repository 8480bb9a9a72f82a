package mcp_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestAsksWithoutEnd: an upstream that asks and asks, and takes no answer,
// costs a bounded number of goroutines and connections.
func TestAsksWithoutEnd(t *testing.T) {
	const most = 64 // answers on their way at once
	var open, peak atomic.Int64
	asked := make(chan struct{})
	held := make(chan struct{})
	release := sync.OnceFunc(func() { close(held) })
	w := newWorld(t)
	defer release()
	up := newFaulty(t, map[string]fault{
		"ask": func(c *faultyCall) {
			c.stream()
			for n := range 20 * most {
				c.say(fmt.Sprintf("data: {\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"ping\"}\n\n", n))
			}
			close(asked)
			<-c.r.Context().Done()
		},
		"answer/": func(c *faultyCall) {
			if n := open.Add(1); n > peak.Load() {
				peak.Store(n)
			}
			defer open.Add(-1)
			<-held
		},
	})
	w.mount("a1", up.fakeUpstream)
	other := w.bystander()
	c := w.connect(w.key(), "/mcp")
	w.until("the upstream is listened to", up.followed)
	idle := w.goroutines()
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan string, 1)
	go func() { left <- c.read(ctx, "ask") }()
	<-asked
	w.until("answers are on their way", func() bool { return open.Load() >= most })
	other.served("an upstream asks without end")
	time.Sleep(50 * time.Millisecond) // for those that must not come
	if n := peak.Load(); n > most {
		t.Errorf("%d answers at once", n)
	}
	leave()
	<-left
	release()
	w.settled(idle, "the flood")
}

// TestListFlood: an upstream whose list is another one a hundred times a second
// is read, and told of, at a bounded rate; calls go on, and the last list
// counts in the end.
func TestListFlood(t *testing.T) {
	const (
		changes = 150
		pause   = 100 * time.Millisecond // between two readings of a list
	)
	w := newWorld(t)
	up := newFaulty(t, nil)
	w.mount("a1", up.fakeUpstream)
	k, other := w.key(), w.bystander()
	w.until("the upstream is listened to", up.followed)
	told := w.listen(k)
	unconcerned := w.listen(other.key)
	before, start := up.requests("tools/list"), time.Now()
	for n := 1; n <= changes; n++ {
		time.Sleep(10 * time.Millisecond)
		up.setTools(tool("good", "r"), tool(fmt.Sprint("t", n), "r"))
		if n%20 == 0 {
			other.served("a list changes")
			if a := w.modern(k, "/mcp", "tools/call", `"name":"a1__good"`); a.status != 200 {
				t.Errorf("a call of the instance: %d %s", a.status, a.body)
			}
		}
	}
	last := fmt.Sprint("a1__t", changes)
	w.until("the last list counts", func() bool {
		tools := names(t, w.modern(k, "/mcp", "tools/list", ``))
		return slices.Contains(tools, last)
	})
	most := int(time.Since(start)/pause) + 2
	if n := up.requests("tools/list") - before; n > most {
		t.Errorf("%d lists were read for %d changes, want at most %d", n, changes, most)
	}
	n := 0
	for quiet := false; !quiet; {
		select {
		case _, ok := <-told.got:
			if !ok {
				t.Fatal("the client's stream was cut")
			}
			n++
		case <-time.After(5 * pause):
			quiet = true
		}
	}
	if n == 0 || n > most {
		t.Errorf("the client was told %d times, want 1 to %d", n, most)
	}
	unconcerned.quiet("another tenant's flood")
}
