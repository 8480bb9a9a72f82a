package mcp

import (
	"context"
	"io"
	"runtime"
	"sync"
	"time"
)

const (
	// lastLine is how long a client may take what is being written at the end.
	lastLine = 2 * time.Second
	// maxUnwritten is how many bytes wait for the client to take what was written
	// before; who has more to say waits, too.
	maxUnwritten = 64 << 10
)

// lineSink writes one message a line, and those that are ready together in one
// write. A write to a client that does not read can't be interrupted, so at the
// end it is left behind.
type lineSink struct {
	w    io.Writer
	gone chan struct{} // closed when nobody is waited for any more

	mu      sync.Mutex
	waiting []byte        // lines that are not being written yet
	spare   []byte        // memory for the next ones
	taken   chan struct{} // closed when waiting is next being written; nil = nobody waits for that
	idle    chan struct{} // closed when all is written; nil = it is
	err     error         // of the client, which is gone
}

func newLineSink(w io.Writer) *lineSink { return &lineSink{w: w, gone: make(chan struct{})} }

// endWith gives the client up a while after ctx ended; end waits until then for
// what is still to be written.
func (s *lineSink) endWith(ctx context.Context) (end func()) {
	var mu sync.Mutex
	var late *time.Timer
	over := context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		late = time.AfterFunc(lastLine, func() { close(s.gone) })
	})
	return func() {
		s.drain(nil)
		over()
		mu.Lock()
		defer mu.Unlock()
		if late != nil {
			late.Stop()
		}
	}
}

// drain waits until all is written, or the client or the time is over.
func (s *lineSink) drain(over <-chan time.Time) {
	s.mu.Lock()
	idle := s.idle
	s.mu.Unlock()
	if idle == nil {
		return
	}
	select {
	case <-idle:
	case <-s.gone:
	case <-over:
	}
}

// send queues a message; nil says that it is in line.
func (s *lineSink) send(message []byte) error {
	message = oneLine(message)
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.waiting) >= maxUnwritten && s.err == nil {
		if s.taken == nil {
			s.taken = make(chan struct{})
		}
		taken := s.taken
		s.mu.Unlock()
		select {
		case <-taken:
			s.mu.Lock()
		case <-s.gone:
			s.mu.Lock()
			return errSinkClosed
		}
	}
	if s.err != nil {
		return s.err
	}
	s.waiting = append(append(s.waiting, message...), '\n')
	if s.idle == nil {
		s.idle = make(chan struct{})
		go s.write()
	}
	return nil
}

// write writes what waits, until nothing does.
func (s *lineSink) write() {
	for {
		runtime.Gosched() // what else is about to be said goes with it
		batch := s.take()
		if batch == nil {
			return
		}
		_, err := s.w.Write(batch)
		s.mu.Lock()
		s.err = err
		if cap(batch) <= 2*maxUnwritten {
			s.spare = batch[:0]
		}
		s.mu.Unlock()
	}
}

// take is what is to be written next; nil when that was all.
func (s *lineSink) take() (batch []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken != nil {
		close(s.taken)
		s.taken = nil
	}
	batch, s.waiting, s.spare = s.waiting, s.spare, nil
	if len(batch) == 0 || s.err != nil {
		close(s.idle)
		s.idle, s.waiting = nil, nil
		return nil
	}
	return batch
}

func (s *lineSink) keepAlive() error { return nil }
