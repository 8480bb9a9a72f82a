package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
)

// sse is the HTTP+SSE transport of MCP 2024-11-05: one stream carries every
// answer, and each message goes out as a POST to the address it names.
type sse struct {
	remote   *remote
	mux      mux
	endpoint *url.URL
	header   http.Header
	mu       sync.Mutex // guards header
	cancel   context.CancelFunc
	done     chan struct{}
	ctx      context.Context
	loss
}

// openSSE opens the stream and waits for the address; ctx is for the stream's
// life, attempt for its opening.
func openSSE(ctx, attempt context.Context, r *remote, changed func()) (*sse, error) {
	ctx, cancel := context.WithCancel(ctx)
	l := &sse{remote: r, ctx: ctx, cancel: cancel, done: make(chan struct{}), loss: loss{gone: make(chan struct{})},
		header: r.with("Content-Type", "application/json")}
	l.mux.changed = changed
	l.mux.answer = l.later
	stop := context.AfterFunc(attempt, cancel)
	resp, at, err := r.do(ctx, http.MethodGet, r.url, r.with("Accept", acceptSSE, "Cache-Control", "no-cache"), nil)
	if err != nil {
		err = broken(err)
	} else if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close()
		err = refusedStream(resp.StatusCode)
	}
	var ev *events
	if err == nil {
		ev = newEvents(resp.Body)
		if l.endpoint, err = endpoint(ev, at); err != nil {
			_ = resp.Body.Close()
		}
	}
	if !stop() {
		err = context.DeadlineExceeded
	}
	if err != nil {
		cancel()
		if attempt.Err() != nil {
			err = attempt.Err()
		}
		return nil, step("opening the stream", err)
	}
	go l.read(ev, resp.Body)
	return l, nil
}

func refusedStream(status int) error {
	switch {
	case status == http.StatusUnauthorized:
		return fmt.Errorf("%w: it refuses the credentials (HTTP 401); check the headers", ErrDown)
	case status == http.StatusNotFound || status == http.StatusMethodNotAllowed:
		return fmt.Errorf("%w: HTTP %d; if it is a streamable HTTP server, use transport http", ErrDown, status)
	}
	return fmt.Errorf("%w: HTTP %d instead of a stream", ErrDown, status)
}

// endpoint reads the first event: where messages go. It must have the stream's
// own origin, because the credentials go there.
func endpoint(ev *events, base *url.URL) (*url.URL, error) {
	for {
		kind, data, err := ev.next()
		if err != nil {
			return nil, fmt.Errorf("%w: the stream ended before its endpoint event: %w", ErrGarbage, broken(err))
		}
		if kind != "endpoint" {
			continue
		}
		to, err := base.Parse(string(data))
		if err != nil || to.Scheme != base.Scheme || to.Host != base.Host {
			return nil, fmt.Errorf("%w: its endpoint is on another origin", ErrGarbage)
		}
		to.User = nil
		return to, nil
	}
}

// read hands on what comes until the stream ends.
func (l *sse) read(ev *events, body io.ReadCloser) {
	defer close(l.done)
	defer body.Close()
	for {
		kind, data, err := ev.next()
		if err != nil {
			l.end(fmt.Errorf("%w: its stream ended: %w", ErrDown, broken(err)))
			return
		}
		if kind != "" && kind != "message" {
			continue
		}
		f, err := parseFrame(data)
		if err != nil {
			l.end(fmt.Errorf("%w: %w", ErrGarbage, err))
			return
		}
		l.mux.route(f)
	}
}

func (l *sse) end(err error) {
	l.mux.fail(err) // first, as child.end does
	l.lose(err)
	l.cancel()
}

func (l *sse) speak(version string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.header = l.header.Clone()
	l.header.Set(mcpgo.HeaderProtocolVersion, version)
}

// post sends one message. The answer comes on the stream.
func (l *sse) post(ctx context.Context, message []byte) error {
	l.mu.Lock()
	h := l.header
	l.mu.Unlock()
	resp, _, err := l.remote.do(ctx, http.MethodPost, l.endpoint, h, message)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	_ = resp.Body.Close()
	switch {
	case resp.StatusCode < 300:
		return nil
	case resp.StatusCode == http.StatusNotFound:
		return errSessionEnded
	case resp.StatusCode >= 500 || resp.StatusCode == http.StatusUnauthorized:
		return fmt.Errorf("%w: HTTP %d", ErrDown, resp.StatusCode)
	}
	return fmt.Errorf("%w: HTTP %d", ErrGarbage, resp.StatusCode)
}

func (l *sse) exchange(ctx context.Context, r *request) (frame, error) {
	box, err := l.mux.register(r)
	if err != nil {
		return frame{}, err
	}
	defer l.mux.drop(r.id)
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.ctx, cancel)()
	if err = l.post(inner, r.message); err == nil {
		var f frame
		if f, err = box.wait(ctx, r.notes); err == nil {
			return f, nil
		}
	}
	switch {
	case ctx.Err() != nil:
		if r.method == string(mcpgo.MethodToolsCall) {
			l.later(cancelled(r.id))
		}
		return frame{}, context.Cause(ctx)
	case isClosed(l.gone):
		return frame{}, l.why
	case errors.Is(err, errSessionEnded):
		l.end(err)
	case !errors.Is(err, ErrDown) && !errors.Is(err, ErrGarbage):
		err = fmt.Errorf("%w: %w", ErrDown, broken(err))
	}
	return frame{}, err
}

func (l *sse) later(message []byte) { l.remote.later(func() { l.notify(message) }) }

func (l *sse) notify(message []byte) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.ctx), noteTimeout)
	defer cancel()
	_ = l.post(ctx, message)
}

// stream has nothing to do: announcements come on the one stream.
func (l *sse) stream(context.Context, func()) {}

func (l *sse) close() {
	l.end(ErrDown)
	<-l.done
}
