package mcp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/keystest"
	"github.com/bailiwick-mcp/bailiwick/mcp"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a whole gateway over the in-memory store, behind a real HTTP server
// on loopback.
type world struct {
	t        testing.TB
	svc      *keys.Service
	gw       *mcp.Gateway
	http     *httptest.Server
	op       keys.Principal
	clock    *clock
	store    *keystest.Memory
	client   *http.Client
	subjects sync.Map // token of a JWT -> keys.SubjectClaims
	// authenticated counts the credentials that counted.
	authenticated atomic.Int64
	served        *atomic.Pointer[http.Handler] // what http passes requests to
}

// clock runs with the real one, and ahead of it as told.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

func newWorld(t testing.TB, edits ...func(*mcp.Config)) *world {
	t.Helper()
	return newWorldOver(t, func(m *keystest.Memory) keys.Store { return m }, edits...)
}

// newWorldOver is a world that sees its store through another.
func newWorldOver(t testing.TB, over func(*keystest.Memory) keys.Store, edits ...func(*mcp.Config)) *world {
	t.Helper()
	w := &world{t: t, clock: &clock{}, store: keystest.NewMemory()}
	ctx := context.Background()
	var err error
	store := over(w.store)
	if _, measured := t.(*testing.B); measured {
		store = forgetful{w.store} // over nothing: no benchmark needs that
	}
	w.svc, err = keys.New(ctx, keys.Config{Store: store, Now: w.clock.Now, AllowPrivateUpstreams: true,
		PollInterval: 20 * time.Millisecond,
		Root:         keys.RootSecret{Version: 1, Value: keys.Secret("0123456789abcdefghijklmnopqrstuvwxyz-root")}})
	must(t, err)
	_, err = w.svc.Bootstrap(ctx)
	must(t, err)
	w.op, err = w.svc.Operator(ctx, "default")
	must(t, err)
	cfg := mcp.Config{Service: w.svc, Authenticate: w.authenticate, Version: "test", ListWait: 2 * time.Second, Now: w.clock.Now}
	for _, edit := range edits {
		edit(&cfg)
	}
	w.gw, err = mcp.New(cfg)
	must(t, err)
	w.serve()
	w.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}
	runCtx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { _ = w.svc.Run(runCtx) })
	wg.Go(func() { _ = w.gw.Run(runCtx) })
	t.Cleanup(func() {
		w.client.CloseIdleConnections()
		w.http.CloseClientConnections()
		stop()
		w.http.Close()
		wg.Wait()
	})
	return w
}

// serve starts the HTTP server; the gateway behind it can be exchanged.
func (w *world) serve() {
	w.served = &atomic.Pointer[http.Handler]{}
	h := w.gw.Handler()
	w.served.Store(&h)
	w.http = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		(*w.served.Load()).ServeHTTP(rw, r)
	}))
}

// authenticate is what the binary wires from keys/bearer, in short.
func (w *world) authenticate(r *http.Request) (keys.Principal, keys.Secret, error) {
	bearer := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	other := r.Header.Get("X-Api-Key") // as a Header has it, so that nothing is allocated
	switch {
	case bearer == "" && other == "":
		return keys.Principal{}, "", keys.ErrUnauthenticated
	case bearer != "" && other != "" && bearer != other:
		return keys.Principal{}, "", &keys.InvalidError{Fields: []policy.Problem{{Field: "X-API-Key", Problem: "is another credential"}}}
	case bearer == "":
		bearer = other
	}
	var p keys.Principal
	var err error
	if claims, ok := w.subjects.Load(bearer); ok {
		p, err = w.svc.Subject(r.Context(), claims.(keys.SubjectClaims))
	} else {
		p, err = w.svc.Authenticate(r.Context(), keys.Secret(bearer))
	}
	if err == nil {
		w.authenticated.Add(1)
	}
	return p, keys.Secret(bearer), err
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// mount makes an instance of a fake upstream and waits for its tools.
func (w *world) mount(slug string, up *fakeUpstream, edits ...func(*keys.InstanceSpec)) keys.Instance {
	w.t.Helper()
	return w.mountAs(w.op, slug, up, edits...)
}

func (w *world) mountAs(p keys.Principal, slug string, up *fakeUpstream, edits ...func(*keys.InstanceSpec)) keys.Instance {
	w.t.Helper()
	spec := keys.InstanceSpec{Slug: keys.Some(slug), Transport: keys.Some(keys.TransportHTTP), URL: keys.Some(up.server.URL),
		WriteEnabled: keys.Some(true), TrustAnnotations: keys.Some(true)}
	for _, edit := range edits {
		edit(&spec)
	}
	i, err := w.svc.CreateInstance(context.Background(), p, spec)
	must(w.t, err)
	w.until("instance "+slug+" has its tools", func() bool {
		tools, err := w.gw.InstanceTools(context.Background(), i)
		state, _ := w.gw.InstanceStatus(i.ID)
		return err == nil && len(tools) == up.count() && state == "ready"
	})
	return i
}

// until waits for what happens in the background; the time is only a limit.
func (w *world) until(what string, done func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if done() {
			return
		}
	}
	w.t.Fatalf("never: %s", what)
}

// key makes a key that may do everything, as edited.
func (w *world) key(edits ...func(*keys.NewKey)) keys.Issued {
	w.t.Helper()
	return w.keyAs(w.op, edits...)
}

func (w *world) keyAs(p keys.Principal, edits ...func(*keys.NewKey)) keys.Issued {
	w.t.Helper()
	n := keys.NewKey{Name: "k", Permissions: keys.Some([]string{"*"}), Source: "api"}
	n.MCPReadOnly, n.MCPPreset = keys.Some(false), keys.Some(policy.PresetFullAccess)
	for _, edit := range edits {
		edit(&n)
	}
	issued, err := w.svc.CreateKey(context.Background(), p, n)
	must(w.t, err)
	return issued
}

// tenant makes another organization.
func (w *world) tenant(slug string) keys.Principal {
	w.t.Helper()
	_, err := w.svc.CreateTenant(context.Background(), w.op, keys.NewTenant{Slug: slug, Name: slug})
	must(w.t, err)
	p, err := w.svc.Operator(context.Background(), slug)
	must(w.t, err)
	return p
}

// answer is one HTTP answer with its whole body.
type answer struct {
	status int
	header http.Header
	body   string
}

// code is a problem's code or "".
func (a answer) code() string {
	var v struct {
		Code string `json:"code"`
	}
	_ = json.Unmarshal([]byte(a.body), &v)
	return v.Code
}

// do sends one request; headers are pairs.
func (w *world) do(method, path string, body io.Reader, headers ...string) answer {
	w.t.Helper()
	req, err := http.NewRequest(method, w.http.URL+path, body)
	must(w.t, err)
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
			continue
		}
		req.Header.Add(headers[i], headers[i+1])
	}
	res, err := w.client.Do(req)
	must(w.t, err)
	defer func() { _ = res.Body.Close() }()
	got, err := io.ReadAll(res.Body)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		w.t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(got)}
}

func (w *world) post(path, body string, headers ...string) answer {
	w.t.Helper()
	return w.do(http.MethodPost, path, bytes.NewReader([]byte(body)),
		append([]string{"Content-Type", "application/json", "Accept", "application/json, text/event-stream"}, headers...)...)
}

// legacy is a client of 2025-11-25 with its session.
type legacy struct {
	w       *world
	path    string
	headers []string
}

const initialize = `{"jsonrpc":"2.0","id":"init","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}`

func auth(k keys.Issued) []string { return []string{"Authorization", "Bearer " + k.Secret.Reveal()} }

func (w *world) connect(k keys.Issued, path string, headers ...string) *legacy {
	w.t.Helper()
	all := append(auth(k), headers...)
	a := w.post(path, initialize, all...)
	if a.status != http.StatusOK || a.header.Get("Mcp-Session-Id") == "" {
		w.t.Fatalf("initialize: %d %s", a.status, a.body)
	}
	return &legacy{w, path, append(all, "Mcp-Session-Id", a.header.Get("Mcp-Session-Id"))}
}

func (l *legacy) send(body string) answer {
	l.w.t.Helper()
	return l.w.post(l.path, body, l.headers...)
}

func (l *legacy) call(name, arguments string) answer {
	l.w.t.Helper()
	return l.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":` + quoted(name) + `,"arguments":` + arguments + `}}`)
}

func (l *legacy) list() []string {
	l.w.t.Helper()
	return names(l.w.t, l.send(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`))
}

// listOf is what names the items of a list.
func (l *legacy) listOf(method, member, named string) []string {
	l.w.t.Helper()
	a := l.send(`{"jsonrpc":"2.0","id":1,"method":` + quoted(method) + `}`)
	var v struct{ Result map[string]json.RawMessage }
	var items []map[string]any
	if json.Unmarshal([]byte(a.body), &v) != nil || json.Unmarshal(v.Result[member], &items) != nil {
		l.w.t.Fatalf("%s: %d %s", method, a.status, a.body)
	}
	out := []string{}
	for _, item := range items {
		name, _ := item[named].(string)
		out = append(out, name)
	}
	return out
}

func names(t testing.TB, a answer) []string {
	t.Helper()
	var v struct {
		Result struct {
			Tools []struct {
				Name string `json:"name"`
			} `json:"tools"`
		} `json:"result"`
	}
	if err := json.Unmarshal([]byte(a.body), &v); err != nil || a.status != http.StatusOK {
		t.Fatalf("tools/list: %d %s", a.status, a.body)
	}
	out := []string{}
	for _, tool := range v.Result.Tools {
		out = append(out, tool.Name)
	}
	return out
}

func quoted(s string) string {
	raw, _ := json.Marshal(s)
	return string(raw)
}

const modernMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"test","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}`

// modern sends one stateless request; params are members without braces.
func (w *world) modern(k keys.Issued, path, method, params string, headers ...string) answer {
	w.t.Helper()
	all := append(auth(k), "Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", method)
	var p struct {
		Name string `json:"name"`
		URI  string `json:"uri"`
	}
	if params != "" {
		_ = json.Unmarshal([]byte("{"+params+"}"), &p)
		params += ","
	}
	if p.Name += p.URI; p.Name != "" {
		all = append(all, "Mcp-Name", p.Name)
	}
	return w.post(path, `{"jsonrpc":"2.0","id":1,"method":`+quoted(method)+`,"params":{`+params+modernMeta+`}}`, append(all, headers...)...)
}
