package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
)

// streamed reads an answer that comes as an event stream, with notifications
// before it. A caller that wants those gets them in its own goroutine.
func (l *streamable) streamed(ctx context.Context, cancel func(), r *request, box *inbox, resp *http.Response) (f frame, keep bool, err error) {
	if r.method == string(mcpgo.MethodInitialize) {
		l.begin(resp.Header.Get(mcpgo.HeaderSessionID))
	}
	if box == nil {
		f, body, err := l.find(ctx, r, resp.Body, nil)
		if err != nil {
			return frame{}, false, err
		}
		l.remote.work.Go(func() { drain(body, cancel) })
		return f, true, nil
	}
	var body io.ReadCloser
	done := make(chan struct{})
	go func() {
		defer close(done)
		var answer frame
		var failure error
		answer, body, failure = l.find(ctx, r, resp.Body, box)
		box.end(&answer, failure)
	}()
	if f, err = box.wait(ctx, r.notes); err != nil {
		cancel() // ends the reading
	}
	<-done
	if body != nil {
		l.remote.work.Go(func() { drain(body, cancel) })
	}
	return f, body != nil, err
}

// drain reads a stream to its end, which is near once the answer came, so that
// its connection can be used again. cancel ends the request.
func drain(body io.ReadCloser, cancel func()) {
	t := time.AfterFunc(drainTime, cancel)
	_, _ = io.Copy(io.Discard, io.LimitReader(body, 64<<10))
	t.Stop()
	_ = body.Close()
	cancel()
}

// find reads a stream until the answer to r, over resumptions: a legacy server
// may end a stream before the answer, and the client asks for the rest (MCP
// 2025-11-25, basic/transports, SEP-1699). The body that is returned is open.
func (l *streamable) find(ctx context.Context, r *request, body io.ReadCloser, box *inbox) (frame, io.ReadCloser, error) {
	ev := newEvents(body)
	for {
		f, err := l.scan(ev, r, box)
		if err == nil {
			return f, body, nil
		}
		_ = body.Close()
		if !errors.Is(err, io.EOF) || ctx.Err() != nil {
			return frame{}, nil, err
		}
		if r.modern || ev.lastID == "" {
			return frame{}, nil, fmt.Errorf("%w: the stream ended before the answer", ErrDown)
		}
		if !pause(ctx, ev.retry) {
			return frame{}, nil, ctx.Err()
		}
		if body, err = l.get(ctx, ev.lastID); err != nil {
			return frame{}, nil, err
		}
		ev = &events{r: newEvents(body).r, lastID: ev.lastID, retry: ev.retry}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// scan reads events until the answer to r; the others go where they belong.
func (l *streamable) scan(ev *events, r *request, box *inbox) (frame, error) {
	for {
		_, data, err := ev.next()
		if err != nil {
			return frame{}, err
		}
		f, err := parseFrame(data)
		switch {
		case err != nil:
			return frame{}, fmt.Errorf("%w: %w", ErrGarbage, err)
		case r != nil && (f.answers(r.id) || f.method == "" && f.id == nil && f.err != nil):
			return f, nil
		case r == nil:
			l.mux.route(f, 0)
		case f.method == string(mcpgo.MethodNotificationMessage):
			if box != nil && r.logs {
				box.push(note{f.method, f.params})
			}
		default:
			l.mux.route(f, r.id)
		}
	}
}

// errStatus is an answer to GET that is no stream.
type errStatus int

func (e errStatus) Error() string { return fmt.Sprintf("HTTP %d instead of a stream", int(e)) }

// get opens the session's own stream, or resumes another behind lastID.
func (l *streamable) get(ctx context.Context, lastID string) (io.ReadCloser, error) {
	h := l.header.Load().Clone()
	h.Del("Content-Type")
	h.Set("Accept", acceptSSE)
	if lastID != "" {
		h.Set(mcpgo.HeaderLastEventID, lastID)
	}
	resp, _, err := l.remote.do(ctx, http.MethodGet, l.target.Load(), h, nil)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close()
		return nil, errStatus(resp.StatusCode)
	}
	return resp.Body, nil
}

// stream keeps the GET stream of a legacy session open. A server may not have
// one; then its list is only read at the beginning.
func (l *streamable) stream(ctx context.Context, opened func()) {
	var wait backoff
	for {
		begun := time.Now()
		body, err := l.get(ctx, "")
		var status errStatus
		if errors.As(err, &status) && status < 500 {
			if status != http.StatusMethodNotAllowed {
				l.check() // perhaps the session is gone
			}
			return
		}
		if err == nil {
			opened()
			_, _ = l.scan(newEvents(body), nil, nil)
			_ = body.Close()
		}
		if !wait.sleep(ctx, time.Since(begun), l.gone) {
			return
		}
	}
}
