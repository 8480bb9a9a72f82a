package mcp_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp"
)

func TestQuestionEndsWithTheKey(t *testing.T) {
	for _, way := range []string{"sse", "local", "relay"} {
		t.Run(way, func(t *testing.T) {
			w := newWorld(t)
			up := newUpstream(t, tool("ask", "r"))
			w.mount("a1", up)
			got := make(chan string, 1)
			up.on("ask", func(c fakeCall) string { got <- c.ask("elicitation/create", form); return `{}` })
			k := w.key()
			var send func(string)
			var next func() string
			if way == "sse" {
				e := w.stream(http.MethodGet, "/sse", "", auth(k)...)
				endpoint := e.next()
				send, next = func(l string) { w.post(endpoint, l, auth(k)...) }, e.next
			} else {
				p := startPipes(t, doors(w, k)[way])
				send, next = func(l string) { p.send(l) }, p.next
			}
			send(initializeWith(canAll))
			next()
			send(request(1, "tools/call", `"name":"a1__ask"`))
			q := parse(t, next())
			_, err := w.svc.RevokeKey(context.Background(), w.op, k.Key.ID, keys.Revocation{})
			must(t, err)
			send(answerTo(q.ID, formed))
			if answered := <-got; answered != "" && !strings.Contains(answered, `"error"`) {
				t.Errorf("the upstream got %s", answered)
			}
		})
	}
}

func TestRelayOfForeignIDs(t *testing.T) {
	remote := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(rw, "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"elicitation/create\",\"params\":{}}\n\n")
	}))
	defer remote.Close()
	p := startPipes(t, func(ctx context.Context, in io.Reader, out io.Writer) error {
		return mcp.RelayStdio(ctx, mcp.RelayConfig{URL: remote.URL + "/mcp", Token: "t", In: in, Out: out})
	})
	p.send(request(1, "tools/call", `"name":"x"`))
	p.expect("elicitation/create")
	p.expect(`"id":1,"error"`, "connection to the server was lost")
}

func TestStdioReadsOnWhileCallsWait(t *testing.T) {
	for _, door := range []string{"local", "relay"} {
		t.Run(door, func(t *testing.T) {
			w := newWorld(t)
			up := newUpstream(t, tool("ask", "r"))
			w.mount("a1", up)
			up.asksAll("ask", `"content":[]`, [2]string{"sampling/createMessage", sampling})
			p := startPipes(t, doors(w, w.key())[door])
			p.send(initializeWith(canAll), initialized)
			p.expect(`"id":"init"`)
			const calls = 64
			for i := range calls {
				p.send(request(i, "tools/call", `"name":"a1__ask"`))
			}
			questions := []rpc{}
			for range calls {
				questions = append(questions, parse(t, p.next()))
			}
			p.send(request(1000, "tools/call", `"name":"a1__ask"`)) // no slot is free for it
			p.send(`{"jsonrpc":"2.0","id":"ping","method":"ping"}`)
			for _, q := range questions {
				p.send(answerTo(q.ID, sampled))
			}
			results := 0
			for results < calls {
				if m := parse(t, p.next()); m.Method == "" && strings.Contains(string(m.Result), sampled) {
					results++
				}
			}
		})
	}
}

func TestStdioGone(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("ask", "r"))
	w.mount("a1", up)
	up.asksAll("ask", `"content":[]`, [2]string{"sampling/createMessage", sampling})
	p := startPipes(t, doors(w, w.key())["local"])
	p.send(initializeWith(canAll), initialized)
	p.expect(`"id":"init"`)
	p.send(request(1, "tools/call", `"name":"a1__ask"`))
	p.expect("sampling/createMessage")
	must(t, p.in.Close())
	p.expect(`"id":1,"error"`, "can't be reached")
	must(t, p.ended())
}
