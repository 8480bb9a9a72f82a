package mcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
)

// RelayConfig of RelayStdio. URL, Token, In and Out are required.
type RelayConfig struct {
	URL        string // of the remote server's /mcp
	Token      keys.Secret
	In         io.Reader
	Out        io.Writer
	HTTPClient *http.Client // default: one without a timeout that follows no redirect
}

const (
	maxRelayed      = 64 << 20 // bytes of one message, either way
	relayReconnect  = time.Second
	relayGoodbye    = 2 * time.Second
	codeUnreachable = -32001
)

// RelayStdio relays lines of JSON to a remote server over streamable HTTP, and
// what it answers back, for a client of either era. It ends when In does, after
// the running requests (10 s at most), or when ctx ends. A key that the server
// refuses ends it too, with an error that is keys.ErrBadCredential.
func RelayStdio(ctx context.Context, cfg RelayConfig) error {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("the server's URL must be like https://mcp.example.com/mcp")
	}
	if cfg.HTTPClient == nil {
		transport := &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: maxParallel,
			IdleConnTimeout: 90 * time.Second, ForceAttemptHTTP2: true}
		defer transport.CloseIdleConnections()
		cfg.HTTPClient = &http.Client{Transport: transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	r := &relay{cfg: cfg, out: newLineSink(cfg.Out), running: map[string]context.CancelFunc{},
		tools: map[string]*mcpgo.Tool{}, refused: make(chan struct{})}
	return r.serve(ctx)
}

// relay is one stdio client of a remote server.
type relay struct {
	cfg RelayConfig
	out *lineSink

	mu        sync.Mutex
	running   map[string]context.CancelFunc // by request id, as received
	busy      int                           // requests that the end of the input waits for
	tools     map[string]*mcpgo.Tool        // those that mirror arguments in headers
	session   string
	version   string // negotiated by initialize
	hello     []byte // the initialize message, to begin again when the server lost the session
	listening bool

	refuse  sync.Once
	refused chan struct{} // closed when the server refused the key
	work    sync.WaitGroup
}

func (r *relay) serve(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	lines := readLines(ctx, r.cfg.In, maxRelayed)
	defer r.out.endWith(ctx)()
	defer r.work.Wait()
	defer stop()
	defer r.goodbye(ctx)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.refused:
			return fmt.Errorf("the server refused the key: %w", keys.ErrBadCredential)
		case l, ok := <-lines:
			if !ok || l.err != nil {
				r.drain(ctx)
				return l.err
			}
			r.take(ctx, l)
		}
	}
}

// drain gives running requests time to finish.
func (r *relay) drain(ctx context.Context) {
	idle := time.NewTicker(5 * time.Millisecond)
	defer idle.Stop()
	limit := time.NewTimer(stdioPatience)
	defer limit.Stop()
	for {
		r.mu.Lock()
		n := r.busy
		r.mu.Unlock()
		if n == 0 {
			r.out.drain(limit.C)
			return
		}
		select {
		case <-idle.C:
		case <-limit.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// goodbye ends the session at the server.
func (r *relay) goodbye(ctx context.Context) {
	session, _ := r.state()
	if session == "" {
		return
	}
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), relayGoodbye)
	defer done()
	if res, err := r.do(ctx, http.MethodDelete, nil, nil); err == nil {
		_ = res.Body.Close()
	}
}

func (r *relay) take(ctx context.Context, l line) {
	m, err := readMessage(l.text)
	var bad *envelopeError
	switch {
	case l.tooLong:
		r.fail(nil, mcpgo.INVALID_REQUEST, "the message is too large")
		return
	case errors.As(err, &bad):
		r.fail(bad.id, bad.code, bad.problem)
		return
	}
	m.raw = l.text
	switch {
	case m.method == string(mcpgo.MethodInitialize):
		r.mu.Lock()
		r.hello, r.session, r.version = m.raw, "", ""
		r.mu.Unlock()
		r.forward(ctx, m)
	case m.method == "notifications/cancelled":
		r.cancel(ctx, m)
	case !m.isRequest(): // or a response to a question of the server's
		r.forward(ctx, m)
		if m.method == "notifications/initialized" {
			r.listen(ctx)
		}
	default:
		r.begin(ctx, m)
	}
}

// begin forwards a request beside the next messages. A subscription lasts as
// long as the client likes, so the end of the input does not wait for it.
func (r *relay) begin(ctx context.Context, m *message) {
	waited := 1
	if methods[m.method].class == classListen {
		waited = 0
	}
	ctx, cancel := context.WithCancel(ctx)
	r.mu.Lock()
	r.running[string(m.id)] = cancel
	r.busy += waited
	r.mu.Unlock()
	r.work.Go(func() {
		defer cancel()
		r.forward(ctx, m)
		r.mu.Lock()
		delete(r.running, string(m.id))
		r.busy -= waited
		r.mu.Unlock()
	})
}

// cancel ends a running request: by a word to the server in the older era, by
// closing its connection in 2026-07-28.
func (r *relay) cancel(ctx context.Context, m *message) {
	if session, _ := r.state(); session != "" {
		r.forward(ctx, m)
		return
	}
	r.mu.Lock()
	cancel := r.running[string(rawjson.Field(m.params, "requestId"))]
	r.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}

func (r *relay) state() (session, version string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.session, r.version
}
