package upstream

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"sync"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
)

const (
	maxNotes     = 1000    // undelivered notifications of one request
	maxNoteBytes = 4 << 20 // and their size
)

// mux finds the request that a message belongs to, on a connection that carries
// many at once. The progress token of a request is its id, so that progress
// finds its request on whatever stream it comes (some servers send it on the
// stream of another request).
type mux struct {
	mu    sync.Mutex
	open  map[int64]*inbox
	cause error // set once the connection is lost

	// session takes what belongs to no request of ours.
	session *session
	// answer sends an answer to the upstream's own request; it must not block.
	answer func(message []byte)
}

// inbox holds what came for one request until its caller takes it, so that a
// slow caller never stops the reading for others, and nothing is delivered
// after the caller left.
type inbox struct {
	mu     sync.Mutex
	wants  bool
	notes  []note
	size   int
	answer *frame
	err    error
	wake   chan struct{}
}

// register opens the inbox of a request; the caller ends with drop.
func (m *mux) register(r *request) (*inbox, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cause != nil {
		return nil, m.cause
	}
	if m.open == nil {
		m.open = make(map[int64]*inbox)
	}
	box := &inbox{wants: r.notes != nil, wake: make(chan struct{}, 1)}
	m.open[r.id] = box
	return box, nil
}

func (m *mux) drop(id int64) {
	m.mu.Lock()
	delete(m.open, id)
	m.mu.Unlock()
}

func (m *mux) find(id json.RawMessage) *inbox {
	n, ok := number(id)
	if !ok {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.open[n]
}

// fail ends every open request with cause, and refuses later ones.
func (m *mux) fail(cause error) {
	m.mu.Lock()
	if m.cause == nil {
		m.cause = cause
	}
	boxes, cause := m.open, m.cause
	m.open = nil
	m.mu.Unlock()
	for _, box := range boxes {
		box.end(nil, cause)
	}
}

// number is an id of ours.
func number(id json.RawMessage) (int64, bool) {
	n, err := strconv.ParseInt(string(id), 10, 64)
	return n, err == nil
}

// route hands a message to whom it belongs. on is the request on whose own stream
// it came; 0 = a stream of the whole connection. An answer to a request that is
// gone (cancelled a moment ago) is dropped.
func (m *mux) route(f frame, on int64) {
	s := m.session
	switch {
	case f.isRequest():
		s.asked(f, on, m.answer)
	case f.method == "":
		s.callers.answered(f.id)
		if box := m.find(f.id); box != nil {
			box.end(&f, nil)
		}
	case f.broken != nil:
	case f.method == mcpgo.MethodNotificationSubscriptionsAcknowledged:
		s.acknowledged(f.params, on)
	case announced[f.method] != 0:
		s.changed(announced[f.method])
	case f.method == string(mcpgo.MethodNotificationProgress):
		token, rest := progress(f.params)
		if box := m.find(token); box != nil {
			box.push(note{f.method, rest})
		}
	case f.method == string(mcpgo.MethodNotificationMessage):
		if id := s.callers.listener(); on == 0 && id != 0 {
			if box := m.find(strconv.AppendInt(nil, id, 10)); box != nil {
				box.push(note{f.method, f.params})
			}
		}
	case f.method == string(mcpgo.MethodNotificationCancelled):
		s.callers.withdraw(f.params)
		s.ended(f.params)
	default:
		s.noticed(f)
	}
}

// progress takes the token out of the params of notifications/progress. Some clients
// match keys whatever their case, and would take another spelling for the token of
// another call of theirs, so that goes as well.
func progress(params json.RawMessage) (token, rest json.RawMessage) {
	rest, _ = rawjson.Edit(params, func(key string, value []byte) []byte {
		if key == "progressToken" {
			token = value
		}
		if strings.EqualFold(key, "progressToken") {
			return nil
		}
		return value
	})
	return token, rest
}

func (b *inbox) push(n note) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.wants || b.answer != nil || b.err != nil || len(n.params) > maxNoteBytes {
		return
	}
	for len(b.notes) > 0 && (len(b.notes) >= maxNotes || b.size+len(n.params) > maxNoteBytes) {
		b.size -= len(b.notes[0].params)
		b.notes = b.notes[1:]
	}
	b.notes, b.size = append(b.notes, n), b.size+len(n.params)
	b.signal()
}

func (b *inbox) end(f *frame, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.answer == nil && b.err == nil {
		b.answer, b.err = f, err
		b.signal()
	}
}

func (b *inbox) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// wait delivers notes, in the caller's goroutine, until the answer comes; all
// that came before the answer is delivered before it returns.
func (b *inbox) wait(ctx context.Context, deliver func(note)) (frame, error) {
	for {
		select {
		case <-b.wake:
		case <-ctx.Done():
			return frame{}, context.Cause(ctx)
		}
		b.mu.Lock()
		notes, answer, err := b.notes, b.answer, b.err
		b.notes, b.size = nil, 0
		b.mu.Unlock()
		for _, n := range notes {
			if ctx.Err() != nil {
				return frame{}, context.Cause(ctx)
			}
			deliver(n)
		}
		if err != nil {
			return frame{}, err
		}
		if answer != nil {
			return *answer, answer.check()
		}
	}
}
