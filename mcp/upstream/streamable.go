package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
)

const (
	acceptBoth  = "application/json, text/event-stream"
	acceptSSE   = "text/event-stream"
	noteTimeout = 5 * time.Second // for a notification or the end of a session
	drainTime   = 250 * time.Millisecond
)

// streamable is the streamable HTTP transport, of both eras. Losing it ends no
// running call: each has its own request.
type streamable struct {
	remote *remote
	ctx    context.Context // Run's
	mux    mux
	check  func() // asks for the list, which shows whether the upstream is still there
	target atomic.Pointer[url.URL]
	header atomic.Pointer[http.Header] // of legacy requests; what it points to never changes
	mu     sync.Mutex
	id     string // session id
	loss
}

// loss is how a link says that it is of no use any more.
type loss struct {
	once sync.Once
	gone chan struct{}
	why  error
}

func (l *loss) lose(err error)        { l.once.Do(func() { l.why = err; close(l.gone) }) }
func (l *loss) lost() <-chan struct{} { return l.gone }
func (l *loss) cause() error          { <-l.gone; return l.why }

func newStreamable(ctx context.Context, r *remote, changed func()) *streamable {
	l := &streamable{remote: r, ctx: ctx, check: changed, loss: loss{gone: make(chan struct{})}}
	l.mux.changed = changed
	l.mux.answer = l.later
	l.target.Store(r.url)
	l.speak("")
	return l
}

func (l *streamable) speak(version string) {
	h := l.remote.with("Content-Type", "application/json", "Accept", acceptBoth)
	l.mu.Lock()
	defer l.mu.Unlock()
	if version != "" {
		h.Set(mcpgo.HeaderProtocolVersion, version)
	}
	if l.id != "" {
		h.Set(mcpgo.HeaderSessionID, l.id)
	}
	l.header.Store(&h)
}

// headerFor is the header of one request. A modern one mirrors parts of its
// body (MCP 2026-07-28, basic/transports/streamable-http).
func (l *streamable) headerFor(r *request) http.Header {
	if !r.modern {
		return *l.header.Load()
	}
	h := l.remote.with("Content-Type", "application/json", "Accept", acceptBoth,
		mcpgo.HeaderProtocolVersion, mcpgo.ProtocolVersion20260728, mcpgo.HeaderMethod, r.method)
	if r.name != "" {
		name, _ := mcpgo.EncodeHeaderValue(r.name)
		h.Set(mcpgo.HeaderName, name)
	}
	for name, value := range r.headers {
		h.Set(name, value)
	}
	return h
}

func (l *streamable) exchange(ctx context.Context, r *request) (frame, error) {
	if isClosed(l.gone) {
		return frame{}, l.why
	}
	var box *inbox
	if r.notes != nil {
		// Before sending, for progress may come on another stream at once.
		var err error
		if box, err = l.mux.register(r); err != nil {
			return frame{}, err
		}
		defer l.mux.drop(r.id)
	}
	// The caller's context ends the request until there is an answer; after it,
	// the rest of a stream is read on, or its connection would be lost.
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer context.AfterFunc(ctx, cancel)()
	defer context.AfterFunc(l.ctx, cancel)()
	f, keep, err := l.send(inner, cancel, r, box)
	if !keep {
		cancel()
	}
	if err == nil {
		return f, f.check()
	}
	switch {
	case ctx.Err() != nil:
		if !r.modern && r.method == string(mcpgo.MethodToolsCall) {
			l.later(cancelled(r.id))
		}
		return frame{}, context.Cause(ctx)
	case l.ctx.Err() != nil:
		return frame{}, ErrDown
	}
	return frame{}, l.failed(err)
}

// cancelled is the notification that ends a request of ours.
func cancelled(id int64) []byte {
	return notification("notifications/cancelled", `{"requestId":`+strconv.FormatInt(id, 10)+`,"reason":"the client cancelled"}`)
}

// failed sorts an error out. One that may mean that the upstream is gone has the
// list asked for, which shows whether it is.
func (l *streamable) failed(err error) error {
	switch {
	case errors.Is(err, errSessionEnded):
		l.lose(err)
		return err
	case errors.Is(err, ErrGarbage):
		return err
	case errors.Is(err, ErrDown):
	default:
		err = fmt.Errorf("%w: %w", ErrDown, broken(err))
	}
	l.check()
	return err
}

// send posts a request and reads its answer. keep says that the rest of the
// response is still being read in the background, which cancels by itself.
func (l *streamable) send(ctx context.Context, cancel func(), r *request, box *inbox) (f frame, keep bool, err error) {
	resp, to, err := l.remote.do(ctx, http.MethodPost, l.target.Load(), l.headerFor(r), r.message)
	if err != nil {
		return frame{}, false, err
	}
	if to != l.target.Load() {
		l.target.Store(to)
	}
	kind, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	switch {
	case resp.StatusCode == http.StatusOK && kind == "text/event-stream":
		return l.streamed(ctx, cancel, r, box, resp)
	case resp.StatusCode != http.StatusOK:
		defer resp.Body.Close()
		f, err = l.refused(r, resp)
	case kind != "application/json":
		_ = resp.Body.Close()
		err = fmt.Errorf("%w: content type %q", ErrGarbage, printable(kind, 60))
	default:
		defer resp.Body.Close()
		f, err = whole(r, resp)
	}
	if err == nil && r.method == string(mcpgo.MethodInitialize) && f.err == nil {
		l.begin(resp.Header.Get(mcpgo.HeaderSessionID))
	}
	return f, false, err
}

// whole reads an answer that is one JSON text.
func whole(r *request, resp *http.Response) (frame, error) {
	b, err := readAll(resp, maxMessage)
	if err != nil {
		return frame{}, err
	}
	f, err := parseFrame(b)
	if err != nil {
		return frame{}, fmt.Errorf("%w: %w", ErrGarbage, err)
	}
	if !f.answers(r.id) && (f.id != nil || f.err == nil) {
		return frame{}, fmt.Errorf("%w: the answer is to another request", ErrGarbage)
	}
	return f, nil
}

// begin keeps the session id, which must be visible ASCII.
func (l *streamable) begin(id string) {
	for _, c := range []byte(id) {
		if c < 0x21 || c > 0x7e {
			return
		}
	}
	l.mu.Lock()
	l.id = id
	l.mu.Unlock()
	l.speak("")
}

func (l *streamable) session() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.id
}

// refused reads an answer whose status is not 200. Servers that have forgotten
// a session say so with 404 or, many of them, with a 400 that is no answer to
// the request.
func (l *streamable) refused(r *request, resp *http.Response) (frame, error) {
	b, _ := readAll(resp, 1<<20)
	f, err := parseFrame(b)
	answer := err == nil && f.broken == nil && f.err != nil
	mine := answer && f.answers(r.id)
	status := resp.StatusCode
	switch {
	case !r.modern && l.session() != "" && (status == 404 || status == 400) && !mine:
		return frame{}, errSessionEnded
	case status == 401:
		return frame{}, fmt.Errorf("%w: it refuses the credentials (HTTP 401); check the headers", ErrDown)
	case mine || answer && f.id == nil && status < 500:
		return f, nil
	case status >= 500:
		return frame{}, fmt.Errorf("%w: HTTP %d", ErrDown, status)
	case r.method == string(mcpgo.MethodInitialize) && (status == 404 || status == 405):
		return frame{}, fmt.Errorf("%w: HTTP %d; if it is an old HTTP+SSE server, use transport sse", ErrGarbage, status)
	}
	return frame{}, fmt.Errorf("%w: HTTP %d instead of an answer", ErrGarbage, status)
}

// later sends a message in the background.
func (l *streamable) later(message []byte) {
	l.remote.later(func() { l.notify(message) })
}

// notify sends a message that has no answer. It outlives Run's context for a
// moment, because the end of Run is what it may have to tell.
func (l *streamable) notify(message []byte) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.ctx), noteTimeout)
	defer cancel()
	resp, _, err := l.remote.do(ctx, http.MethodPost, l.target.Load(), *l.header.Load(), message)
	if err == nil {
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
		_ = resp.Body.Close()
	}
}

// close ends the session at the upstream, which would keep it for long otherwise.
func (l *streamable) close() {
	id := l.session()
	if id == "" || isClosed(l.gone) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.ctx), noteTimeout)
	defer cancel()
	resp, _, err := l.remote.do(ctx, http.MethodDelete, l.target.Load(), *l.header.Load(), nil)
	if err == nil {
		_ = resp.Body.Close()
	}
}
