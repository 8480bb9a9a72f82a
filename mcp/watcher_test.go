package mcp_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// watcher is a client of one era that is told of updates.
type watcher struct {
	*events
	tag string // in each message
	c   *legacy
}

// watch subscribes a client of the era to the uris and answers those granted.
func (w *world) watch(era string, k keys.Issued, path string, uris ...string) (*watcher, []string) {
	w.t.Helper()
	var granted []string
	if era == "modern" {
		list := strings.Join(strings.Fields(fmt.Sprintf("%q", uris)), ",")
		e := w.stream(http.MethodPost, path, `{"jsonrpc":"2.0","id":"sub","method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true,"resourceSubscriptions":`+list+`},`+modernMeta+`}}`,
			append(auth(k), "Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", "subscriptions/listen")...)
		ack := e.next()
		for _, uri := range uris {
			if strings.Contains(ack, quoted(uri)) {
				granted = append(granted, uri)
			}
		}
		if !strings.Contains(ack, `"notifications/subscriptions/acknowledged"`) || strings.Contains(ack, "resourceSubscriptions") != (len(granted) > 0) {
			w.t.Fatalf("acknowledged: %s", ack)
		}
		return &watcher{events: e, tag: `,"_meta":{"io.modelcontextprotocol/subscriptionId":"sub"}`}, granted
	}
	c := w.connect(k, path)
	e := w.stream(http.MethodGet, path, "", c.headers...)
	for _, uri := range uris {
		if a := c.subscribe(uri); a.body == `{"jsonrpc":"2.0","id":1,"result":{}}` {
			granted = append(granted, uri)
		}
	}
	return &watcher{events: e, c: c}, granted
}

func (l *legacy) subscribe(uri string) answer {
	l.w.t.Helper()
	return l.send(`{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":` + quoted(uri) + `}}`)
}

func (l *legacy) unsubscribe(uri string) answer {
	l.w.t.Helper()
	return l.send(`{"jsonrpc":"2.0","id":1,"method":"resources/unsubscribe","params":{"uri":` + quoted(uri) + `}}`)
}

// told waits for the update of a uri.
func (e *watcher) told(uri string) {
	e.t.Helper()
	want := `{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":` + quoted(uri) + e.tag + `}}`
	if got := e.next(); got != want {
		e.t.Errorf("got %s, want %s", got, want)
	}
}

// untold fails when an update is there; lists may change.
func (e *watcher) untold(why string) {
	e.t.Helper()
	for {
		select {
		case data, ok := <-e.got:
			if !ok || !strings.Contains(data, "list_changed") {
				e.t.Errorf("%s: got %s", why, data)
				return
			}
		case <-time.After(100 * time.Millisecond):
			return
		}
	}
}

// eachEra runs f for every pair of eras.
func eachEra(t *testing.T, f func(t *testing.T, client string, modernUpstream bool)) {
	for _, client := range []string{"legacy", "modern"} {
		for _, modern := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s client, modern upstream %v", client, modern), func(t *testing.T) { f(t, client, modern) })
		}
	}
}

func subscribable(t *testing.T, modern bool, uris ...string) *fakeUpstream {
	more := others{}
	for _, uri := range uris {
		more.resources = append(more.resources, resource(uri))
	}
	up := newUpstream(t, tool("t", "r")).with(more)
	up.modern, up.subscribes = modern, true
	return up
}
