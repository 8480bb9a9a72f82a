package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/keystest"
)

// house is a server of this test's own process.
type house struct {
	t     *testing.T
	store *slowStore
	token string
	url   string
	logs  *bytes.Buffer
	end   context.CancelFunc // as SIGTERM does
	ended chan error
}

func startHouse(t *testing.T, f serveFlags) *house {
	t.Helper()
	h := &house{t: t, store: &slowStore{Memory: keystest.NewMemory(), reached: make(chan struct{}), release: make(chan struct{})}, logs: &bytes.Buffer{}, ended: make(chan error, 1)}
	svc, err := keys.New(t.Context(), keys.Config{Store: h.store, PollInterval: 5 * time.Millisecond, Decides: true, MaxStaleness: f.maxStaleness,
		Root: keys.RootSecret{Version: 1, Value: "test-root-secret-0123456789-abcdefghij"}})
	h.must(err)
	token, err := svc.Bootstrap(t.Context())
	h.must(err)
	h.token = token.Reveal()
	log := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()),
		zapcore.Lock(zapcore.AddSync(h.logs)), zapcore.DebugLevel))
	if f.maxStaleness == 0 {
		f.maxStaleness = time.Minute
	}
	s, err := newServer(f, svc, func() (write, read sql.DBStats) { return write, read }, log)
	h.must(err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	h.must(err)
	h.url = f.scheme() + "://" + l.Addr().String()
	ctx, end := context.WithCancel(context.Background())
	h.end = end
	accepting := make(chan struct{})
	go func() { h.ended <- s.run(ctx, l, func() error { close(accepting); return nil }) }()
	<-accepting
	t.Cleanup(end)
	return h
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// stopped ends the server and waits for it.
func (h *house) stopped() {
	h.t.Helper()
	h.end()
	select {
	case err := <-h.ended:
		h.must(err)
	case <-time.After(8 * time.Second): // less than what runs is given to finish
		h.t.Fatal("the server does not end")
	}
}

// open sends a request and answers without reading the body.
func (h *house) open(method, path, body string, headers ...string) *http.Response {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), method, h.url+path, strings.NewReader(body))
	h.must(err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	r.Header.Set("Authorization", "Bearer "+h.token)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	h.must(err)
	h.t.Cleanup(func() { _ = answer.Body.Close() })
	return answer
}

func (h *house) status(method, path, body string, headers ...string) int {
	h.t.Helper()
	answer := h.open(method, path, body, headers...)
	_, err := io.Copy(io.Discard, answer.Body)
	h.must(err)
	return answer.StatusCode
}

const initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}`

// stream opens a session and its GET stream.
func (h *house) stream() *http.Response {
	h.t.Helper()
	session := h.open("POST", "/mcp", initialize).Header.Get("Mcp-Session-Id")
	stream := h.open("GET", "/mcp", "", "Mcp-Session-Id", session)
	if stream.StatusCode != http.StatusOK {
		h.t.Fatalf("the stream answers %d", stream.StatusCode)
	}
	return stream
}

// closing asks in many ways and answers which of the answers close their connection.
func (h *house) closing() (closing, open []string) {
	h.t.Helper()
	for _, ask := range [][]string{
		{"GET", "/livez", ""}, {"GET", "/readyz", ""}, {"GET", "/api/tenant", ""}, {"GET", "/nowhere", ""}, {"OPTIONS", "/mcp", ""},
		{"POST", "/mcp", initialize}, {"POST", "/mcp", `{"jsonrpc":"2.0","method":"notifications/initialized"}`}, {"POST", "/mcp", "no JSON"},
		{"GET", "/api/tenant", "", "Authorization", "Bearer no"}, {"GET", "/livez", "", "Host", "elsewhere"},
	} {
		answer := h.open(ask[0], ask[1], ask[2], ask[3:]...)
		_, err := io.Copy(io.Discard, answer.Body)
		h.must(err)
		name := strings.Join(ask, " ")
		if answer.Close {
			closing = append(closing, name)
		} else {
			open = append(open, name)
		}
	}
	return closing, open
}

func TestDraining(t *testing.T) {
	h := startHouse(t, serveFlags{drainDelay: 3 * time.Second})
	if closing, _ := h.closing(); len(closing) > 0 {
		t.Errorf("while it serves, these close their connections: %q", closing)
	}
	if got := h.status("GET", "/readyz", ""); got != 200 {
		t.Fatalf("ready: %d", got)
	}
	stream := h.stream()
	h.end()
	for h.status("GET", "/readyz", "") == 200 {
		time.Sleep(time.Millisecond)
	}
	if got := h.status("GET", "/api/tenant", ""); got != 200 {
		t.Errorf("while draining a request answers %d", got)
	}
	if got := h.status("GET", "/livez", ""); got != 200 {
		t.Errorf("while draining it is not live: %d", got)
	}
	if _, open := h.closing(); len(open) > 0 {
		t.Errorf("while draining, these keep their connections: %q", open)
	}
	h.stopped()
	if _, err := io.Copy(io.Discard, stream.Body); err != nil {
		t.Errorf("the stream was not ended but cut: %v", err)
	}
	if _, err := http.DefaultTransport.RoundTrip(must(http.NewRequest("GET", h.url, nil))); err == nil {
		t.Error("it still accepts connections")
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// slowStore holds every edit back while held is set.
type slowStore struct {
	*keystest.Memory
	held    atomic.Bool
	reached chan struct{}
	release chan struct{}
}

func (s *slowStore) Edit(ctx context.Context, fn func(keys.Writer) error) (int64, error) {
	if s.held.Load() {
		s.reached <- struct{}{}
		<-s.release
	}
	return s.Memory.Edit(ctx, fn)
}

// What runs when the server is told to end is finished and answered.
func TestRunningRequestFinishes(t *testing.T) {
	h := startHouse(t, serveFlags{})
	h.store.held.Store(true)
	answered := make(chan int)
	r := must(http.NewRequest("POST", h.url+"/api/projects", strings.NewReader(`{"name":"late"}`)))
	r.Header = http.Header{"Content-Type": {"application/json"}, "X-Api-Key": {h.token}}
	go func() {
		answer, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			answered <- 0
			return
		}
		_ = answer.Body.Close()
		answered <- answer.StatusCode
	}()
	<-h.store.reached
	h.end()
	for { // until nothing is accepted any more
		conn, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
		if err != nil {
			break
		}
		_ = conn.Close()
		time.Sleep(time.Millisecond)
	}
	close(h.store.release)
	if got := <-answered; got != http.StatusCreated {
		t.Errorf("the running request answers %d", got)
	}
	h.stopped()
}

// While the store can't be asked whether a key was revoked, no key counts.
func TestStaleStoreIsRefused(t *testing.T) {
	h := startHouse(t, serveFlags{maxStaleness: 300 * time.Millisecond})
	if got := h.status("GET", "/api/tenant", ""); got != 200 {
		t.Fatalf("fresh: %d", got)
	}
	h.store.SetDown(true)
	for h.status("GET", "/readyz", "") != 503 {
		time.Sleep(10 * time.Millisecond)
	}
	for _, path := range []string{"/api/tenant", "/mcp"} {
		method, body := "GET", ""
		if path == "/mcp" {
			method, body = "POST", initialize
		}
		answer := h.open(method, path, body)
		if answer.StatusCode != 503 || answer.Header.Get("Retry-After") == "" {
			t.Errorf("%s answers %d %v", path, answer.StatusCode, answer.Header)
		}
	}
	h.store.SetDown(false)
	for h.status("GET", "/readyz", "") != 200 {
		time.Sleep(10 * time.Millisecond)
	}
	if got := h.status("GET", "/api/tenant", ""); got != 200 {
		t.Errorf("after the store is back: %d", got)
	}
}

// A key goes through every place of every route; no 12 characters of its body
// may be in the log.
func TestNoKeyInTheLog(t *testing.T) {
	h := startHouse(t, serveFlags{})
	golden, err := os.ReadFile("../../keys/rest/testdata/routes.golden")
	h.must(err)
	routes := strings.Split(strings.TrimSpace(string(golden)), "\n")
	if len(routes) < 20 {
		t.Fatalf("only %d routes", len(routes))
	}
	routes = append(routes, "POST /mcp", "GET /mcp", "DELETE /mcp", "POST /mcp/{id}", "POST /message", "GET /{id}", h.token+" /api/tenant")
	for _, line := range routes {
		method, path := strings.Fields(line)[0], strings.Fields(line)[1]
		if path == "/sse" {
			continue // a stream
		}
		path = strings.NewReplacer("{id}", h.token, "{name}", h.token).Replace(path)
		for _, body := range []string{fmt.Sprintf(`{"name":%q,%[1]q:1}`, h.token), fmt.Sprintf(`{"name":%q}`, h.token),
			fmt.Sprintf(`{"jsonrpc":"2.0","id":%q,"method":%[1]q}`, h.token), h.token} {
			h.status(method, path, body)
			h.status(method, path+"?q="+h.token, body)
			h.status(method, path, body, "X-API-Key", h.token+"x")
			h.status(method, path, body, "X-Org-Slug", h.token, "User-Agent", h.token, "Mcp-Session-Id", h.token, "Origin", "http://"+h.token)
			h.status(method, path, body, "Authorization", "Bearer "+h.token[:len(h.token)-1])
		}
	}
	h.stopped()
	logged := h.logs.String()
	if strings.Count(logged, `"msg":"request"`) < 100 {
		t.Fatalf("little was logged:\n%s", logged)
	}
	for i := len("bwk_live_"); i+12 <= len(h.token); i++ {
		if at := strings.Index(logged, h.token[i:i+12]); at >= 0 {
			t.Fatalf("the log holds the key: ...%s...", logged[max(0, at-300):min(len(logged), at+100)])
		}
	}
}

// One line for each request, which tells the route and who asked.
func TestRequestRecord(t *testing.T) {
	h := startHouse(t, serveFlags{})
	h.status("GET", "/api/tenant", "")
	h.status("POST", "/mcp", initialize)
	h.status("GET", "/api/tenant", "", "Authorization", "Bearer x")
	h.stopped()
	want := []struct {
		route  string
		status float64
		known  bool
	}{{"/api/tenant", 200, true}, {"/mcp", 200, true}, {"/api/tenant", 401, false}}
	n := 0
	for line := range strings.Lines(h.logs.String()) {
		var entry map[string]any
		h.must(json.Unmarshal([]byte(line), &entry))
		if entry["msg"] != "request" {
			continue
		}
		if n == len(want) {
			t.Fatal("more lines than requests")
		}
		w := want[n]
		n++
		if entry["route"] != w.route || entry["status"] != w.status || (entry["key"] != "") != w.known || (entry["tenant"] != "") != w.known {
			t.Errorf("logged %v, want %+v", entry, w)
		}
	}
	if n != len(want) {
		t.Errorf("%d lines, want %d", n, len(want))
	}
}

func TestTLS(t *testing.T) {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := x509.Certificate{SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der := must(x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key))
	f := serveFlags{tlsCert: filepath.Join(t.TempDir(), "cert"), tlsKey: filepath.Join(t.TempDir(), "key")}
	for file, block := range map[string]*pem.Block{f.tlsCert: {Type: "CERTIFICATE", Bytes: der},
		f.tlsKey: {Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(key))}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h := startHouse(t, f)
	roots := x509.NewCertPool()
	roots.AddCert(must(x509.ParseCertificate(der)))
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	answer, err := client.Get(h.url + "/livez")
	h.must(err)
	_ = answer.Body.Close()
	client.CloseIdleConnections()
	if answer.StatusCode != 200 || !strings.HasPrefix(h.url, "https://") {
		t.Errorf("%s answers %d", h.url, answer.StatusCode)
	}
	h.stopped()
}
