package mcp

import (
	"context"
	"io"
	"sync"
	"time"
)

// lastLine is how long a client may take what is being written at the end.
const lastLine = 2 * time.Second

// lineSink writes one message a line. A write to a client that does not read
// can't be interrupted, so at the end it is left behind.
type lineSink struct {
	w    io.Writer
	turn chan struct{} // held by who writes
	gone chan struct{} // closed when nobody is waited for any more
}

func newLineSink(w io.Writer) *lineSink {
	return &lineSink{w: w, turn: make(chan struct{}, 1), gone: make(chan struct{})}
}

// endWith gives the client up a while after ctx ended; stop ends the waiting.
func (s *lineSink) endWith(ctx context.Context) (stop func()) {
	var mu sync.Mutex
	var late *time.Timer
	over := context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		late = time.AfterFunc(lastLine, func() { close(s.gone) })
	})
	return func() {
		over()
		mu.Lock()
		defer mu.Unlock()
		if late != nil {
			late.Stop()
		}
	}
}

func (s *lineSink) send(message []byte) error {
	message = oneLine(message)
	select {
	case s.turn <- struct{}{}:
	case <-s.gone:
		return errSinkClosed
	}
	written := make(chan error, 1)
	go func() {
		_, err := s.w.Write(append(message[:len(message):len(message)], '\n'))
		<-s.turn
		written <- err
	}()
	select {
	case err := <-written:
		return err
	case <-s.gone:
		return errSinkClosed
	}
}

func (s *lineSink) keepAlive() error { return nil }
