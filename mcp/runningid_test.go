package mcp_test

import (
	"strings"
	"testing"
)

// TestRunningID: two running requests of a session never have one id, so that
// cancelled always means one of them, and the first stays cancelable.
func TestRunningID(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("wait", "r"))
	w.mount("a1", up)
	started := make(chan struct{}, 10)
	up.on("wait", func(c fakeCall) string { started <- struct{}{}; <-c.done; return `{"content":[]}` })
	const (
		call   = `{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"a1__wait","arguments":{}}}`
		cancel = `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"x"}}`
	)
	refused := func(body string) bool { return strings.Contains(body, `"id":"x","error":{"code":-32600`) }
	k := w.key()

	c := w.connect(k, "/mcp")
	first := make(chan answer, 1)
	go func() { first <- c.send(call) }()
	<-started
	second := make(chan answer, 1)
	go func() { second <- c.send(call) }()
	select {
	case a := <-second:
		if !refused(a.body) {
			t.Errorf("the same id again: %s", a.body)
		}
	case <-started:
		t.Fatal("the same id again: it runs")
	}
	c.send(cancel)
	if a := <-first; !strings.Contains(a.body, "canceled") {
		t.Errorf("the first: %s", a.body)
	}

	p := startPipes(t, doors(w, k)["local"])
	p.send(initialize, initialized)
	p.expect(`"id":"init"`)
	p.send(call)
	<-started
	p.send(call)
	if l := p.next(); !refused(l) {
		t.Errorf("stdio, the same id again: %s", l)
	}
	p.send(`{"jsonrpc":"2.0","id":"x","method":"tools/list"}`)
	if l := p.next(); !refused(l) {
		t.Errorf("stdio, the same id for a list: %s", l)
	}
	p.send(cancel)
	p.expect(`"id":"x"`, "canceled")
	p.send(`{"jsonrpc":"2.0","id":"x","method":"tools/list"}`)
	p.expect(`"id":"x","result"`)
}
