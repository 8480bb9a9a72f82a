package mcp_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// fault answers one request in place of an upstream.
type fault func(c *faultyCall)

// faultyCall is a request that is answered wrongly.
type faultyCall struct {
	http.ResponseWriter
	r     *http.Request
	id    json.RawMessage
	token json.RawMessage // for progress
	taken int64           // bytes that were taken off our hands
	begun func()          // says that the fault goes on
}

// say writes and flushes; false = nobody takes it any more.
func (c *faultyCall) say(text string) bool {
	n, err := io.WriteString(c, text)
	atomic.AddInt64(&c.taken, int64(n))
	return err == nil && http.NewResponseController(c.ResponseWriter).Flush() == nil
}

// json begins a JSON answer, stream one of events.
func (c *faultyCall) json()   { c.Header().Set("Content-Type", "application/json") }
func (c *faultyCall) stream() { c.Header().Set("Content-Type", "text/event-stream") }

func (c *faultyCall) result(text string) string {
	return `{"jsonrpc":"2.0","id":` + string(c.id) + `,"result":{"content":[{"type":"text","text":"` + text + `"}]}}`
}

func (c *faultyCall) failed(rest string) string {
	return `{"jsonrpc":"2.0","id":` + string(c.id) + `,"error":{"code":-32050` + rest + `}}`
}

// forever says the same until nobody listens, and tells when it is long.
func (c *faultyCall) forever(text string) {
	c.repeat(text, 1<<40)
}

func (c *faultyCall) repeat(text string, most int) {
	for n := 0; n < most && c.say(text); n += len(text) {
		if n > 1<<20 {
			c.begun()
		}
	}
	c.begun()
}

// hang is silence until the other side goes.
func (c *faultyCall) hang() {
	c.begun()
	<-c.r.Context().Done()
}

func abort() { panic(http.ErrAbortHandler) }

// faulty is an upstream that answers right, but for the methods and the tools
// with a fault. Its connections carry one request each, so that none is left
// when a fault is over.
type faulty struct {
	*fakeUpstream
	begun chan struct{} // has one element each time a fault began

	mu     sync.Mutex
	faults map[string]fault
	asked  map[string]int // requests by method
	last   *faultyCall
	over   chan struct{} // of the last fault
}

func newFaulty(t testing.TB, faults map[string]fault) *faulty {
	t.Helper()
	f := &faulty{faults: faults, begun: make(chan struct{}, 1), asked: map[string]int{}}
	tools := []string{tool("good", "r")}
	for name := range faults {
		if !strings.Contains(name, "/") && name != "initialize" {
			tools = append(tools, tool(name, "r"))
		}
	}
	f.fakeUpstream = newUpstream(t, tools...)
	f.server.Close()
	f.server = httptest.NewServer(http.HandlerFunc(f.serve))
	return f
}

func (f *faulty) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var m struct {
		ID     json.RawMessage
		Method string
		Params struct {
			Name string
			Meta struct{ ProgressToken json.RawMessage } `json:"_meta"`
		}
	}
	_ = json.Unmarshal(body, &m)
	f.mu.Lock()
	f.asked[m.Method]++
	wrong := f.faults[m.Method]
	switch {
	case m.Method == "tools/call":
		wrong = f.faults[m.Params.Name]
	case m.Method == "" && r.Method == http.MethodPost:
		wrong = f.faults["answer/"]
	}
	f.mu.Unlock()
	w.Header().Set("Connection", "close")
	if wrong == nil {
		r.Body = io.NopCloser(bytes.NewReader(body))
		f.fakeUpstream.serve(w, r)
		return
	}
	c := &faultyCall{ResponseWriter: w, r: r, id: m.ID, token: m.Params.Meta.ProgressToken}
	c.begun = sync.OnceFunc(func() {
		select {
		case f.begun <- struct{}{}:
		default:
		}
	})
	over := make(chan struct{})
	f.mu.Lock()
	f.last, f.over = c, over
	f.mu.Unlock()
	defer close(over)
	wrong(c)
}

func (f *faulty) requests(method string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked[method]
}

// followed tells whether the gateway listens for changes.
func (f *faulty) followed() bool {
	f.fakeUpstream.mu.Lock()
	defer f.fakeUpstream.mu.Unlock()
	return len(f.listens) > 0
}

// ended waits until the last fault is over, and says how much was taken of it.
func (f *faulty) ended(w *world) int64 {
	w.t.Helper()
	f.mu.Lock()
	last, over := f.last, f.over
	f.mu.Unlock()
	w.until("the upstream is told that nobody waits", func() bool {
		select {
		case <-over:
			return true
		default:
			return false
		}
	})
	return atomic.LoadInt64(&last.taken)
}

// bystander is another tenant with an upstream of its own.
type bystander struct {
	w   *world
	key keys.Issued
}

func (w *world) bystander() *bystander {
	w.t.Helper()
	p := w.tenant("bystander")
	up := newFaulty(w.t, nil) // good, and without idle connections
	w.mountAs(p, "own", up.fakeUpstream)
	w.until("the bystander's upstream is listened to", up.followed)
	return &bystander{w, w.keyAs(p)}
}

// served fails unless calls and lists of the other tenant work now.
func (b *bystander) served(while string) {
	b.w.t.Helper()
	if a := b.w.modern(b.key, "/mcp", "tools/call", `"name":"own__good"`); !strings.Contains(a.body, `"text":"ok"`) {
		b.w.t.Errorf("another tenant's call while %s: %d %.200s", while, a.status, a.body)
	}
	if a := b.w.modern(b.key, "/mcp", "tools/list", ``); !strings.Contains(a.body, `"own__good"`) {
		b.w.t.Errorf("another tenant's list while %s: %d %.200s", while, a.status, a.body)
	}
}

// goroutines counts them once nothing goes on.
func (w *world) goroutines() int {
	n, last := runtime.NumGoroutine(), time.Now()
	w.until("the number of goroutines stays", func() bool {
		w.client.CloseIdleConnections()
		if now := runtime.NumGoroutine(); now != n {
			n, last = now, time.Now()
		}
		return time.Since(last) > 100*time.Millisecond
	})
	return n
}

// settled waits until no more goroutines run than before.
func (w *world) settled(before int, after string) {
	w.t.Helper()
	over := false
	defer func() {
		if stacks := make([]byte, 1<<20); !over {
			w.t.Logf("%s", stacks[:runtime.Stack(stacks, true)])
		}
	}()
	w.until(fmt.Sprintf("after %s no more than %d goroutines run", after, before), func() bool {
		w.client.CloseIdleConnections() // those of a moment ago, too
		return runtime.NumGoroutine() <= before
	})
	over = true
}

// heap is the live heap in bytes.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

const mebibyte = 1 << 20
