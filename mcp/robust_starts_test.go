package mcp_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// TestUpstreamsThatNeverStart: instances that are silent where a connection
// begins hold nobody but who waits for them, and not the end of the gateway,
// which the end of the test waits for.
func TestUpstreamsThatNeverStart(t *testing.T) {
	w := newWorld(t)
	k, other := w.key(), w.bystander()
	w.mount("good", newUpstream(t, tool("good", "r")))
	hang := func(c *faultyCall) { c.hang() }
	address, accepted := silent(t)
	begun, ids := map[string]<-chan struct{}{"tcp": accepted}, map[string]string{"tcp": w.create("tcp", "http://"+address)}
	for name, faults := range map[string]map[string]fault{
		"discover":   {"server/discover": hang, "initialize": hang},
		"initialize": {"initialize": hang},
		"list":       {"tools/list": hang},
		"half":       {"initialize": func(c *faultyCall) { c.json(); c.say(`{"jsonrpc":"2.0",`); c.hang() }},
		"chatter":    {"initialize": func(c *faultyCall) { c.stream(); c.forever(": " + block[:1000] + "\n\n") }},
		"large":      {"tools/list": func(c *faultyCall) { c.json(); c.say(`{"x":"`); c.forever(block) }},
		"latin":      {"tools/list": func(c *faultyCall) { c.json(); c.begun(); c.say(c.result(latin)) }},
	} {
		up := newFaulty(t, faults)
		begun[name], ids[name] = up.begun, w.create(name, up.server.URL)
	}
	for name, c := range begun {
		select {
		case <-c:
		case <-time.After(20 * time.Second):
			t.Errorf("%s: nobody asked", name)
		}
	}
	other.served("instances do not start")
	if a := w.modern(k, "/mcp", "tools/call", `"name":"good__good"`); !strings.Contains(a.body, `"text":"ok"`) {
		t.Errorf("a call of a good instance: %d %s", a.status, a.body)
	}
	if list := w.connect(k, "/mcp?instances=good").list(); len(list) != 1 {
		t.Errorf("listed %v", list)
	}
	for name, why := range map[string]string{"large": "larger than 16 MiB", "latin": "its text is not valid UTF-8"} {
		w.until(name+" says what is wrong", func() bool {
			state, problem := w.gw.InstanceStatus(ids[name])
			return state == "down" && strings.Contains(problem, "tools/list: ") && strings.Contains(problem, why)
		})
	}
}

// create makes an instance that need not work, and answers its id.
func (w *world) create(slug, url string) string {
	w.t.Helper()
	i, err := w.svc.CreateInstance(context.Background(), w.op, keys.InstanceSpec{Slug: keys.Some(slug),
		Transport: keys.Some(keys.TransportHTTP), URL: keys.Some(url)})
	must(w.t, err)
	return i.ID
}

// silent is a server that accepts connections and says nothing.
func silent(t *testing.T) (address string, accepted <-chan struct{}) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	c := make(chan struct{}, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer func() { _ = conn.Close() }()
			select {
			case c <- struct{}{}:
			default:
			}
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return l.Addr().String(), c
}
