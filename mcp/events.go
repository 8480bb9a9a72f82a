package mcp

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"sync"
)

var errSinkClosed = errors.New("stream is closed")

// eventSink writes messages as server-sent events.
type eventSink struct {
	mu     sync.Mutex
	w      *patientWriter
	opened bool
	closed bool
}

func newEventSink(w *patientWriter) *eventSink { return &eventSink{w: w} }

// open sends the headers.
func (s *eventSink) open() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.write(nil)
}

func (s *eventSink) send(message []byte) error { return s.event("message", message) }

func (s *eventSink) event(name string, data []byte) error {
	data = oneLine(data)
	b := make([]byte, 0, len(data)+len(name)+20)
	b = append(append(append(b, "event: "...), name...), "\ndata: "...)
	b = append(append(b, data...), '\n', '\n')
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.write(b)
}

func (s *eventSink) keepAlive() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.write([]byte(": keep-alive\n\n"))
}

// close makes every later write an error; a handler that returns must not be
// written through any more, but for the end of what it wrote.
func (s *eventSink) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.w.wait()
}

func (s *eventSink) write(b []byte) error {
	if s.closed {
		return errSinkClosed
	}
	if !s.opened {
		h := s.w.Header()
		h.Set("Content-Type", "text/event-stream")
		h.Set("Cache-Control", "no-store")
		h.Set("X-Accel-Buffering", "no")
		s.w.WriteHeader(http.StatusOK)
		s.opened = true
	}
	if _, err := s.w.Write(b); err != nil {
		return err
	}
	return s.w.rc.Flush()
}

// oneLine is the same JSON without line breaks, which end an event's data and
// a line of stdio.
func oneLine(message []byte) []byte {
	if bytes.IndexByte(message, '\n') < 0 && bytes.IndexByte(message, '\r') < 0 {
		return message
	}
	var b bytes.Buffer
	if json.Compact(&b, message) != nil {
		return bytes.Map(func(r rune) rune {
			if r == '\n' || r == '\r' {
				return ' '
			}
			return r
		}, message)
	}
	return b.Bytes()
}

// postSink is the answer to one POST: plain JSON, or events once something had
// to be sent before the answer. Every request has its own, so that what belongs
// to one of several parallel calls never goes out on another's stream.
type postSink struct{ eventSink }

func newPostSink(w *patientWriter) *postSink { return &postSink{eventSink{w: w}} }

// finish sends the answer and ends the sink.
func (s *postSink) finish(r reply, id json.RawMessage) {
	s.mu.Lock()
	opened := s.opened
	s.mu.Unlock()
	defer s.close()
	if !opened {
		writeReply(s.w, r)
		_ = s.w.rc.Flush() // now, for there is more to do before the handler returns
		return
	}
	if body := r.asMessage(id); body != nil {
		_ = s.send(body)
	}
}

func writeReply(w http.ResponseWriter, r reply) {
	switch {
	case r.problem != nil:
		r.problem.Answer(w)
	case r.status == 0:
	case r.body == nil:
		w.WriteHeader(r.status)
	default:
		h := w.Header()
		h["Content-Type"], h["Cache-Control"], h["X-Content-Type-Options"] = typeJSON, noStore, noSniff
		// Without it, a large body would go out in chunks, with one more write.
		h["Content-Length"] = []string{strconv.Itoa(len(r.body))}
		w.WriteHeader(r.status)
		_, _ = w.Write(r.body)
	}
}

// Shared by all answers; nobody changes them in place.
var typeJSON, noStore, noSniff = []string{"application/json"}, []string{"no-store"}, []string{"nosniff"}
