package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"go.uber.org/zap"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/keystest"
	"github.com/bailiwick-mcp/bailiwick/keys/rest"
)

// metric reads one sample of /metrics, 0 where there is none.
func (h *house) metric(name string) float64 {
	h.t.Helper()
	for line := range strings.Lines(h.scrape()) {
		if value, found := strings.CutPrefix(line, name+" "); found {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			h.must(err)
			return n
		}
	}
	return 0
}

func (h *house) scrape() string {
	h.t.Helper()
	answer, err := http.Get(h.url + "/metrics")
	h.must(err)
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	h.must(err)
	if answer.StatusCode != 200 {
		h.t.Fatalf("%d %s", answer.StatusCode, text)
	}
	return string(text)
}

// send sends a request with a JSON body and answers the status.
func (h *house) send(method, path, token, body string) int {
	r := must(http.NewRequest(method, h.url+path, strings.NewReader(body)))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if strings.Contains(body, "2026-07-28") {
		r.Header.Set("Mcp-Protocol-Version", "2026-07-28")
		r.Header.Set("Mcp-Method", "tools/call")
		r.Header.Set("Mcp-Name", regexp.MustCompile(`"name":"([^"]*)"`).FindStringSubmatch(body)[1])
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		h.t.Error(err)
		return 0
	}
	defer func() { _ = answer.Body.Close() }()
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode
}

func toolCall(name string) string {
	return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + name + `","arguments":{},"_meta":{` +
		`"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`
}

// Each thing that is counted moves its metric by as much, when it happens.
func TestMetricsMove(t *testing.T) {
	h := startHouse(t, serveFlags{})
	wrong := h.token[:len(h.token)-1] + map[bool]string{true: "b", false: "a"}[strings.HasSuffix(h.token, "a")]
	unknown := string(must(keys.NewToken(randomness, keys.DefaultTokenPrefix)))
	get := func(token string) func() { return func() { h.send("GET", "/api/tenant", token, "") } }
	tests := []struct {
		name   string
		do     func()
		metric string
		delta  float64
	}{
		{"no credential", get(""), `bailiwick_authentication_refusals_total{reason="missing"}`, 1},
		{"a checksum that does not fit", get(wrong), `bailiwick_authentication_refusals_total{reason="checksum"}`, 1},
		{"nobody's key", get(unknown), `bailiwick_authentication_refusals_total{reason="unknown"}`, 1},
		{"nobody's key, again", get(unknown), `bailiwick_authentication_refusals_total{reason="known"}`, 1},
		{"a good key is no refusal", get(h.token), `bailiwick_authentication_refusals_total{reason="unknown"}`, 0},
		{"a key in the cache", get(h.token), "bailiwick_key_cache_hits_total", 1},
		{"a new key", get(string(must(keys.NewToken(randomness, keys.DefaultTokenPrefix)))), "bailiwick_key_cache_misses_total", 1},
		{"an edit", func() { h.send("POST", "/api/projects", h.token, `{"name":"made"}`) }, "bailiwick_edit_propagation_seconds_count", 1},
		{"an edit", func() { h.send("POST", "/api/projects", h.token, `{"name":"made too"}`) }, "bailiwick_epoch_applied", 1},
		{"an allowed call", func() { h.send("POST", "/mcp", h.token, toolCall("whoami")) }, `bailiwick_decisions_total{decision="allow",kind="tool",reason=""}`, 1},
		{"an allowed call", func() { h.send("POST", "/mcp", h.token, toolCall("whoami")) }, `bailiwick_mcp_call_duration_seconds_count{outcome="ok"}`, 1},
		{"an unknown tool", func() { h.send("POST", "/mcp", h.token, toolCall("nothing__here")) }, `bailiwick_decisions_total{decision="deny",kind="tool",reason="tool.unknown"}`, 1},
		{"a request", get(h.token), `bailiwick_http_request_duration_seconds_count{route="/api/tenant",status="2xx"}`, 1},
		{"a path that is not there", func() { h.send("GET", "/nowhere", "", "") }, `bailiwick_http_request_duration_seconds_count{route="/",status="4xx"}`, 1},
		{"a stream", func() { h.stream() }, "bailiwick_mcp_streams", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name+" "+tt.metric, func(t *testing.T) {
			before := h.metric(tt.metric)
			tt.do()
			got := h.metric(tt.metric) - before
			for end := time.Now().Add(10 * time.Second); got != tt.delta && time.Now().Before(end); { // it may be counted behind its answer
				time.Sleep(time.Millisecond)
				got = h.metric(tt.metric) - before
			}
			if got != tt.delta {
				t.Errorf("moved by %v, want %v", got, tt.delta)
			}
		})
	}
	if h.metric("bailiwick_state_fresh") != 1 || h.metric("bailiwick_replicas") != 1 || h.metric("bailiwick_state_max_staleness_seconds") <= 0 {
		t.Error("a server that is well says otherwise")
	}
}

// What is told is well formed, and holds nothing of what it is told about.
func TestMetricsTellNoNames(t *testing.T) {
	h := startHouse(t, serveFlags{})
	h.send("POST", "/api/projects", h.token, `{"name":"canary-project"}`)
	h.send("POST", "/mcp", h.token, toolCall("canary__tool"))
	h.send("POST", "/mcp/canary-instance", h.token, toolCall("whoami"))
	h.send("GET", "/api/canary-path?key="+h.token, h.token, "")
	h.send("CANARY-METHOD", "/mcp", "canary-credential", "")
	text := h.scrape()
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	h.must(err)
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	if n := strings.Count(text, "# TYPE bailiwick_"); n < 30 {
		t.Errorf("only %d metrics", n)
	}
	for _, told := range []string{"canary", "CANARY", "default", h.token[len(keys.DefaultTokenPrefix) : len(keys.DefaultTokenPrefix)+12]} {
		if strings.Contains(text, told) {
			t.Errorf("it tells of %q", told)
		}
	}
	if id := regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-`).FindString(text); id != "" {
		t.Errorf("it tells an id, %s", id)
	}
}

// deafStore can't be read while it is cut.
type deafStore struct {
	*keystest.Memory
	cut chan struct{}
}

func (s *deafStore) Epoch(ctx context.Context) (int64, error) {
	select {
	case <-s.cut:
		return 0, keys.ErrUnavailable
	default:
		return s.Memory.Epoch(ctx)
	}
}

// A server that can't reach its store says how old its state is, and that it
// does not decide any more.
func TestMetricsOfStaleState(t *testing.T) {
	store := &deafStore{keystest.NewMemory(), make(chan struct{})}
	var mu sync.Mutex
	now := time.Now()
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	svc := must(keys.New(t.Context(), keys.Config{Store: store, Decides: true, MaxStaleness: time.Second, Now: clock,
		Root: keys.RootSecret{Version: 1, Value: "test-root-secret-0123456789-abcdefghij"}}))
	before := svc.Stats().State
	close(store.cut)
	mu.Lock()
	now = now.Add(2 * time.Second)
	mu.Unlock()
	after := svc.Stats().State
	if !before.Fresh || after.Fresh || after.Age-before.Age != 2*time.Second {
		t.Errorf("%+v and then %+v", before, after)
	}
	s := must(newServer(serveFlags{}, svc, nil, zap.NewNop()))
	w := httptest.NewRecorder()
	rest.New(rest.Config{Service: svc, Ready: s.ready}).ServeHTTP(w, httptest.NewRequest("GET", "/readyz", nil))
	if w.Code != 503 || !strings.Contains(w.Body.String(), "its state was last confirmed with the store 2s ago, and may be at most 1s old") {
		t.Errorf("readyz: %d %s", w.Code, w.Body)
	}
}

func TestMetricsAddress(t *testing.T) {
	for _, bad := range []string{"9090", "127.0.0.1", "127.0.0.1:http:1", "127.0.0.1:99999"} {
		f := serveFlags{addr: "127.0.0.1:0", metricsAddr: bad, maxStaleness: time.Second}
		if err := f.check(); err == nil || !strings.Contains(err.Error(), "--metrics-addr") {
			t.Errorf("%s: %v", bad, err)
		}
	}
	h := startHouse(t, serveFlags{metricsAddr: "127.0.0.1:0"})
	if got := h.send("GET", "/metrics", "", ""); got != 404 {
		t.Errorf("on the main listener: %d", got)
	}
	here := startHouse(t, serveFlags{})
	for name, header := range map[string][2]string{"forwarded": {"X-Forwarded-For", "192.0.2.1"}, "a page's": {"Origin", here.url}, "a name of another's": {"Host", "example.com"}} {
		r := must(http.NewRequest("GET", here.url+"/metrics", nil))
		if r.Header.Set(header[0], header[1]); header[0] == "Host" {
			r.Host = header[1]
		}
		if answer := must(http.DefaultClient.Do(r)); answer.StatusCode != 403 {
			t.Errorf("%s: %d", name, answer.StatusCode)
		}
	}
	r := must(http.NewRequest("GET", "http://localhost/metrics", nil))
	r.RemoteAddr = "192.0.2.1:1000"
	w := &countingWriter{ResponseWriter: discard{http.Header{}}}
	onlyHere(http.NotFoundHandler()).ServeHTTP(w, r)
	if w.status() != 403 {
		t.Errorf("another machine: %d", w.status())
	}
}

type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

// A listener of their own has the metrics and nothing else.
func TestMetricsListener(t *testing.T) {
	l := must(net.Listen("tcp", "127.0.0.1:0"))
	s := metricsServer(&metricSet{registry: prometheus.NewRegistry()})
	done := make(chan error, 1)
	go func() { done <- serveMetrics(s, l) }()
	for path, want := range map[string]int{"/metrics": 200, "/": 404, "/mcp": 404, "/metrics/": 404} {
		if answer := must(http.Get("http://" + l.Addr().String() + path)); answer.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, answer.StatusCode, want)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Scraping disturbs nothing, and is disturbed by nothing.
func TestMetricsUnderLoad(t *testing.T) {
	h := startHouse(t, serveFlags{})
	var work sync.WaitGroup
	for i := range 4 {
		work.Go(func() {
			for n := range 25 {
				h.send("POST", "/mcp", h.token, toolCall("whoami"))
				h.send("POST", "/api/projects", h.token, fmt.Sprintf(`{"name":"p %d %d"}`, i, n))
			}
		})
		work.Go(func() {
			for range 10 {
				if got := h.send("GET", "/metrics", "", ""); got != 200 && got != 503 {
					t.Errorf("scraped: %d", got)
				}
			}
		})
	}
	work.Wait()
	if got := h.metric(`bailiwick_mcp_call_duration_seconds_count{outcome="ok"}`); got != 100 {
		t.Errorf("%v calls were counted, want 100", got)
	}
}

// The table of docs/operations.md has every metric, with its type and labels,
// and no other.
func TestMetricsAreDocumented(t *testing.T) {
	doc := must(os.ReadFile("../../docs/operations.md"))
	documented := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(bailiwick_[a-z_]+)` \\| ([a-z]+) \\| ([^|]*) \\|").FindAllSubmatch(doc, -1) {
		documented[string(row[1])] = string(row[2]) + " " + string(bytes.ReplaceAll(row[3], []byte("`"), nil))
	}
	types := map[prometheus.ValueType]string{prometheus.GaugeValue: "gauge", prometheus.CounterValue: "counter", prometheus.UntypedValue: "histogram"}
	want := map[string]string{"bailiwick_build_info": "gauge version, goversion", "bailiwick_authentication_refusals_total": "counter reason"}
	for _, family := range [][]describedMetric{stateFamilies, gatewayFamilies, requestFamilies, poolFamilies} {
		for _, one := range family {
			want[one.name] = types[one.kind] + " " + strings.Join(one.labels, ", ")
		}
	}
	for name, says := range want {
		if documented[name] != says {
			t.Errorf("%s: documented is %q, want %q", name, documented[name], says)
		}
		delete(documented, name)
	}
	if len(documented) > 0 || len(want) < 30 {
		t.Errorf("documented, and not there: %v (of %d)", documented, len(want))
	}
}

// Under --audit-sample, calls that go well are counted where they are not recorded.
func TestUnsampledCallsAreCounted(t *testing.T) {
	for share, want := range map[string]float64{"1": 0, "0": 3} {
		var f serveFlags
		if err := f.auditSample.Set(share); err != nil {
			t.Fatal(err)
		}
		h := startHouse(t, f)
		for range 3 {
			h.send("POST", "/mcp", h.token, toolCall("whoami"))
		}
		h.send("POST", "/mcp", h.token, toolCall("nothing__here"))
		if got := h.metric("bailiwick_audit_calls_unsampled_total"); got != want {
			t.Errorf("share %s: %v calls are counted as left out, want %v", share, got, want)
		}
	}
}
