package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"sync"
	"time"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/keys"
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
	r := &relay{cfg: cfg, out: &lineSink{w: cfg.Out}, running: map[string]context.CancelFunc{},
		tools: map[string]*mcpgo.Tool{}, refused: make(chan struct{})}
	return r.serve(ctx)
}

// relay is one stdio client of a remote server.
type relay struct {
	cfg RelayConfig
	out *lineSink

	mu        sync.Mutex
	running   map[string]context.CancelFunc // by request id, as received
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
		n := len(r.running)
		r.mu.Unlock()
		if n == 0 {
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
	case m == nil:
		m = &message{} // a response of the client's: passed on as it is
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
	case !m.isRequest():
		r.forward(ctx, m)
		if m.method == "notifications/initialized" {
			r.listen(ctx)
		}
	default:
		ctx, done := r.track(ctx, string(m.id))
		r.work.Go(func() {
			defer done()
			r.forward(ctx, m)
		})
	}
}

// cancel ends a running request: by a word to the server in the older era, by
// closing its connection in 2026-07-28.
func (r *relay) cancel(ctx context.Context, m *message) {
	if session, _ := r.state(); session != "" {
		r.forward(ctx, m)
		return
	}
	r.mu.Lock()
	cancel := r.running[string(field(m.params, "requestId"))]
	r.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}

func (r *relay) track(ctx context.Context, id string) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	r.mu.Lock()
	r.running[id] = cancel
	r.mu.Unlock()
	return ctx, func() {
		r.mu.Lock()
		delete(r.running, id)
		r.mu.Unlock()
		cancel()
	}
}

func (r *relay) state() (session, version string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.session, r.version
}

// forward sends one message and passes its answers on; a session that the
// server has lost is begun again, once.
func (r *relay) forward(ctx context.Context, m *message) {
	for again := range 2 {
		res, err := r.do(ctx, http.MethodPost, m.raw, m)
		if err != nil {
			if ctx.Err() == nil {
				r.failRequest(m, codeUnreachable, "the server can't be reached")
			}
			return
		}
		if session, _ := r.state(); res.StatusCode == http.StatusNotFound && session != "" &&
			m.version == "" && again == 0 && r.beginAgain(ctx, res) {
			continue
		}
		r.answer(ctx, m, res)
		return
	}
}

// beginAgain repeats the handshake after a 404.
func (r *relay) beginAgain(ctx context.Context, lost *http.Response) bool {
	_ = lost.Body.Close()
	r.mu.Lock()
	hello := r.hello
	r.session, r.version = "", ""
	r.mu.Unlock()
	res, err := r.do(ctx, http.MethodPost, hello, &message{method: string(mcpgo.MethodInitialize)})
	if err != nil {
		return false
	}
	body, _ := io.ReadAll(io.LimitReader(res.Body, maxRelayed))
	_ = res.Body.Close()
	r.learnSession(res, body)
	if session, _ := r.state(); session == "" {
		return false
	}
	res, err = r.do(ctx, http.MethodPost, notification("notifications/initialized", nil), &message{})
	if err == nil {
		_ = res.Body.Close()
	}
	return true
}

func (r *relay) do(ctx context.Context, method string, body []byte, m *message) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, r.cfg.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	h := req.Header
	h.Set("Authorization", "Bearer "+r.cfg.Token.Reveal())
	h.Set("Accept", "application/json, text/event-stream")
	if method == http.MethodPost {
		h.Set("Content-Type", "application/json")
	}
	session, version := r.state()
	switch {
	case m != nil && mcpgo.IsModernProtocol(m.version):
		r.modernHeaders(h, m)
	case session != "":
		h.Set(mcpgo.HeaderSessionID, session)
		if version != "" {
			h.Set(mcpgo.HeaderProtocolVersion, version)
		}
	}
	return r.cfg.HTTPClient.Do(req)
}

func (r *relay) modernHeaders(h http.Header, m *message) {
	h.Set(mcpgo.HeaderProtocolVersion, m.version)
	h.Set(mcpgo.HeaderMethod, m.method)
	if name, ok := mcpgo.ExtractHeaderName(mcpgo.MCPMethod(m.method), m.params); ok {
		if value, ok := mcpgo.EncodeHeaderValue(name); ok {
			h.Set(mcpgo.HeaderName, value)
		}
	}
	r.mu.Lock()
	tool := r.tools[m.name]
	r.mu.Unlock()
	if tool == nil {
		return
	}
	for name, value := range mcpgo.GenerateParamHeaders(tool, m.params) {
		h.Set(name, value)
	}
}

// answer passes on what the server answered to one message.
func (r *relay) answer(ctx context.Context, m *message, res *http.Response) {
	defer func() { _ = res.Body.Close() }()
	media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if media == "text/event-stream" {
		answered := false
		_ = readEvents(res.Body, maxRelayed, func(data []byte) {
			answered = answered || m.id != nil && bytes.Equal(field(data, "id"), m.id)
			r.learnTools(m, data)
			_ = r.out.send(data)
		})
		if !answered && ctx.Err() == nil {
			r.failRequest(m, codeUnreachable, "the connection to the server was lost")
		}
		return
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxRelayed))
	switch {
	case err != nil:
		r.failRequest(m, codeUnreachable, "the connection to the server was lost")
	case res.StatusCode == http.StatusUnauthorized:
		r.failRequest(m, codeDenied, "the server refused the key")
		r.refuse.Do(func() { close(r.refused) })
	case media == "application/json" && isObject(body) && json.Valid(body):
		r.learnSession(res, body)
		r.learnTools(m, body)
		_ = r.out.send(body)
	case res.StatusCode >= http.StatusBadRequest:
		detail := text(field(body, "detail"))
		if detail == "" {
			detail = "the server answered " + res.Status
		}
		r.failRequest(m, codeDenied, detail)
	case m.isRequest():
		r.failRequest(m, codeUnreachable, "the server gave no answer")
	}
}

func (r *relay) fail(id json.RawMessage, code int, problem string) {
	_ = r.out.send(failure(id, code, problem, nil).body)
}

func (r *relay) failRequest(m *message, code int, problem string) {
	if m.isRequest() {
		r.fail(m.id, code, problem)
	}
}

// learnSession keeps what initialize settled.
func (r *relay) learnSession(res *http.Response, body []byte) {
	if id := res.Header.Get(mcpgo.HeaderSessionID); id != "" {
		r.mu.Lock()
		r.session, r.version = id, text(field(field(body, "result"), "protocolVersion"))
		r.mu.Unlock()
	}
}

// learnTools keeps the tools whose arguments a later call must mirror in
// headers (2026-07-28, x-mcp-header).
func (r *relay) learnTools(m *message, data []byte) {
	if m.method != string(mcpgo.MethodToolsList) {
		return
	}
	var list []json.RawMessage
	if json.Unmarshal(field(field(data, "result"), "tools"), &list) != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, raw := range list {
		if t, err := headerTool(raw); err == nil && t != nil {
			r.tools[text(field(raw, "name"))] = t
		}
	}
}
