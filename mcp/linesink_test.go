package mcp_test

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/mcp"
)

// heldWriter takes what is written once it is let go, and counts the writes.
type heldWriter struct {
	begun chan struct{} // one for each write
	let   chan struct{} // closed: they may
	err   error

	mu     sync.Mutex
	text   strings.Builder
	writes int
}

func (w *heldWriter) Write(b []byte) (int, error) {
	w.begun <- struct{}{}
	<-w.let
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writes++
	w.text.Write(b)
	return len(b), w.err
}

func newHeldWriter(err error) *heldWriter {
	return &heldWriter{begun: make(chan struct{}, 1000), let: make(chan struct{}), err: err}
}

func waitFor(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatal("no " + what)
	}
}

// TestLinesTogether: what is said while a write goes on goes out in the next one,
// whole and in order, before the sink ends.
func TestLinesTogether(t *testing.T) {
	t.Parallel()
	w := newHeldWriter(nil)
	send, end := mcp.LineSink(t.Context(), w)
	must(t, send("first"))
	waitFor(t, "write", w.begun)
	want := "first\n"
	for i := range 50 {
		must(t, send(fmt.Sprintf("line %d", i)))
		want += fmt.Sprintf("line %d\n", i)
	}
	close(w.let)
	end()
	if w.text.String() != want || w.writes != 2 {
		t.Errorf("%d writes of %q, want 2 of %q", w.writes, w.text.String(), want)
	}
}

// TestLinesWait: who says more than a client takes waits, and goes on when it takes.
func TestLinesWait(t *testing.T) {
	t.Parallel()
	w := newHeldWriter(nil)
	send, end := mcp.LineSink(t.Context(), w)
	long := strings.Repeat("x", mcp.MaxUnwritten)
	must(t, send("first"))
	waitFor(t, "write", w.begun)
	must(t, send(long)) // fills what may wait
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		if err := send("last"); err != nil {
			t.Error(err)
		}
	}()
	select {
	case <-sent:
		t.Error("it did not wait")
	case <-time.After(50 * time.Millisecond):
	}
	close(w.let)
	waitFor(t, "room", sent)
	end()
	if got := w.text.String(); got != "first\n"+long+"\nlast\n" {
		t.Errorf("%d bytes written", len(got))
	}
}

// TestLinesToNobody: a client that is gone is an error of what is said next.
func TestLinesToNobody(t *testing.T) {
	t.Parallel()
	w := newHeldWriter(io.ErrClosedPipe)
	close(w.let)
	send, end := mcp.LineSink(t.Context(), w)
	must(t, send("first"))
	end()
	if err := send("second"); err == nil {
		t.Error("sent")
	}
	end()
}
