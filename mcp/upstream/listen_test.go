package upstream_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
)

// listener is a modern server whose resources can be subscribed to. It refuses
// all of a request with a bad one, and does not honour odd ones.
type listener struct {
	mu   sync.Mutex
	open map[string]string // what is listened to, by request
	most int               // open at once
	told []string          // what was ever listened to
	stop map[string]func()
}

func (l *listener) serve(t *testing.T) *web {
	h := modernWeb(named("a"))
	h["server/discover"] = func(w http.ResponseWriter, _ *http.Request, m message) {
		answer(w, 200, m, `"result":{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"resources":{"subscribe":true},"extensions":{"io.modelcontextprotocol/tasks":{"x":1}}}}`)
	}
	for _, list := range []string{"resources/list", "resources/templates/list"} {
		h[list] = func(w http.ResponseWriter, _ *http.Request, m message) {
			answer(w, 200, m, `"result":{"resources":[],"resourceTemplates":[]}`)
		}
	}
	h["subscriptions/listen"] = func(w http.ResponseWriter, r *http.Request, m message) {
		var p struct {
			Notifications struct {
				URIs []string `json:"resourceSubscriptions"`
			} `json:"notifications"`
		}
		_ = json.Unmarshal(m.Params, &p)
		uris := p.Notifications.URIs
		if slices.Contains(uris, "bad:") {
			answer(w, 400, m, `"error":{"code":-32602,"message":"bad resource"}`)
			return
		}
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		l.mu.Lock()
		l.open[string(m.ID)] = strings.Join(uris, " ")
		l.stop[string(m.ID)] = cancel
		l.told = append(l.told, strings.Join(uris, " "))
		l.most = max(l.most, len(l.open))
		l.mu.Unlock()
		defer func() {
			l.mu.Lock()
			delete(l.open, string(m.ID))
			l.mu.Unlock()
		}()
		honoured, _ := json.Marshal(slices.DeleteFunc(slices.Clone(uris), func(uri string) bool { return uri == "odd:" }))
		stream(w)
		event(w, `{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":%s},"notifications":{"resourceSubscriptions":%s}}}`, m.ID, honoured)
		for _, uri := range uris {
			event(w, `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":%q,"_meta":{"io.modelcontextprotocol/subscriptionId":%s}}}`, uri, m.ID)
		}
		<-ctx.Done()
	}
	return newWeb(t, h)
}

// settles waits until just this is listened to.
func (l *listener) settles(m *mounted, want string) {
	m.t.Helper()
	for range 4000 {
		l.mu.Lock()
		var open []string
		for _, uris := range l.open {
			open = append(open, uris)
		}
		l.mu.Unlock()
		if len(open) == 1 && open[0] == want || want == "" && len(open) == 0 {
			return
		}
		<-m.wakeSoon()
	}
	m.t.Fatalf("it never listened to just %q", want)
}

func TestSubscriptionsOfAModernUpstream(t *testing.T) {
	l := &listener{open: map[string]string{}, stop: map[string]func(){}}
	m := l.serve(t).mount(t)
	if o := m.Offers(); !o.Modern || !o.Subscribe || !o.Resources || !o.Tasks || o.Prompts || o.Logging || string(o.Extensions[upstream.TasksExtension]) != `{"x":1}` {
		t.Errorf("offers %+v", o)
	}
	first := m.mustSubscribe("a:1")
	l.settles(m, "a:1")
	m.hears(`notifications/resources/updated {"uri":"a:1"}`)
	second := m.mustSubscribe("a:2")
	l.settles(m, "a:1 a:2")
	if l.mu.Lock(); l.most != 2 {
		t.Errorf("the old one was closed before the new one was open")
	}
	l.mu.Unlock()
	if _, err := m.subscribe("odd:"); !errors.Is(err, upstream.ErrUnsupported) {
		t.Errorf("one that is not honoured: %v", err)
	}
	if _, err := m.subscribe("bad:"); err == nil || !strings.Contains(err.Error(), "bad resource") {
		t.Errorf("a refused one: %v", err)
	}
	// Among many at once, only the bad one is refused.
	before := len(l.told)
	var wg sync.WaitGroup
	for _, uri := range []string{"bad:", "b:1", "b:2", "b:3", "b:4"} {
		wg.Go(func() {
			if _, err := m.subscribe(uri); (err != nil) != (uri == "bad:") {
				t.Errorf("%s: %v", uri, err)
			}
		})
	}
	wg.Wait()
	l.settles(m, "a:1 a:2 b:1 b:2 b:3 b:4")
	l.mu.Lock()
	if n := len(l.told) - before; n > 6 {
		t.Errorf("%d requests for 5 resources", n)
	}
	for _, stop := range l.stop { // the server ends what is open
		stop()
	}
	before = len(l.told)
	l.mu.Unlock()
	for i := range 4000 {
		l.mu.Lock()
		n := len(l.told)
		l.mu.Unlock()
		if n > before {
			break
		}
		if <-m.wakeSoon(); i == 3999 {
			t.Fatal("it was not opened again")
		}
	}
	l.settles(m, "a:1 a:2 b:1 b:2 b:3 b:4")
	first()
	second()
	l.settles(m, "b:1 b:2 b:3 b:4")
}

// When nothing is wanted any more, nothing is listened to.
func TestSubscriptionsEnd(t *testing.T) {
	l := &listener{open: map[string]string{}, stop: map[string]func(){}}
	m := l.serve(t).mount(t)
	stop := m.mustSubscribe("a:1")
	l.settles(m, "a:1")
	stop()
	l.settles(m, "")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := m.Subscribe(ctx, "a:1"); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if m.stop(); m.Offers().Modern {
		t.Error("it still offers something")
	}
	if _, err := m.subscribe("a:9"); !errors.Is(err, upstream.ErrDown) {
		t.Errorf("error %v", err)
	}
}
