package mcp_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

const cancelOne = `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`

// waiting makes calls of wait last until they are let go or canceled.
func waiting(up *fakeUpstream) (started chan struct{}, letGo func(), ended chan string) {
	started, ended = make(chan struct{}, 1000), make(chan string, 1000)
	held := make(chan struct{})
	up.on("wait", func(c fakeCall) string {
		started <- struct{}{}
		select {
		case <-held:
			ended <- "let go"
		case <-c.done:
			ended <- "canceled"
		}
		return `{"content":[]}`
	})
	return started, func() { close(held) }, ended
}

// sseClient opens an SSE stream; post sends a message of its session.
func (w *world) sseClient(k keys.Issued) (e *events, post func(body string) answer) {
	w.t.Helper()
	e = w.stream(http.MethodGet, "/sse", "", auth(k)...)
	endpoint := e.next()
	return e, func(body string) answer { return w.post(endpoint, body, auth(k)...) }
}

// TestForeignCancelOverSSEAndStdio: a call of one connection is not canceled by
// another one's word, of the same key, another key or another tenant, and by
// its own it is.
func TestForeignCancelOverSSEAndStdio(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("wait", "r"))
	w.mount("a1", up)
	k, sibling, foreign := w.key(), w.key(), w.keyAs(w.tenant("other"))
	stdio := func(k keys.Issued) *pipes {
		return startPipes(t, func(ctx context.Context, in io.Reader, out io.Writer) error {
			return w.gw.ServeStdio(ctx, k.Secret, in, out)
		})
	}
	e, post := w.sseClient(k)
	own := stdio(k)
	for name, c := range map[string]struct {
		send func(string)
		got  func() string
	}{
		"SSE":   {func(body string) { post(body) }, e.next},
		"stdio": {func(body string) { own.send(body) }, own.next},
	} {
		t.Run(name, func(t *testing.T) {
			send, got := c.send, c.got
			started, letGo, ended := waiting(up)
			send(callOf("a1__wait", ""))
			<-started
			for _, other := range []keys.Issued{k, sibling, foreign} {
				_, post := w.sseClient(other)
				if a := post(cancelOne); a.status != http.StatusAccepted {
					t.Errorf("the notification: %d", a.status)
				}
				w.connect(other, "/mcp").send(cancelOne)
				stdio(other).send(cancelOne, `{"jsonrpc":"2.0","id":2,"method":"ping"}`)
			}
			select {
			case how := <-ended:
				t.Fatalf("ended by a foreign word: %s", how)
			case <-time.After(50 * time.Millisecond):
			}
			letGo()
			if how := <-ended; how != "let go" {
				t.Errorf("the call was %s", how)
			}
			if answer := got(); !strings.Contains(answer, `"content":[]`) {
				t.Errorf("answered %s", answer)
			}
			started, letGo, ended = waiting(up)
			defer letGo()
			send(callOf("a1__wait", ""))
			<-started
			send(cancelOne)
			if how := <-ended; how != "canceled" {
				t.Errorf("by its own word it was %s", how)
			}
			got()
		})
	}
}

// TestMessagesOfAnSSESession: a session answers a bounded number of messages at
// a time, and its client can end one of them to make room.
func TestMessagesOfAnSSESession(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("wait", "r"))
	w.mount("a1", up)
	started, letGo, _ := waiting(up)
	defer letGo()
	k := w.key()
	e, post := w.sseClient(k)
	send := func(id int) answer {
		return post(strings.Replace(callOf("a1__wait", ""), `"id":1`, fmt.Sprint(`"id":`, id), 1))
	}
	for id := 1; id <= limit; id++ {
		if a := send(id); a.status != http.StatusAccepted {
			t.Fatalf("message %d: %d %s", id, a.status, a.body)
		}
		<-started
	}
	if a := send(limit + 1); a.status != http.StatusTooManyRequests || a.code() != "rate_limited" || a.header.Get("Retry-After") == "" {
		t.Errorf("one more: %d %s", a.status, a.body)
	}
	if a := post(cancelOne); a.status != http.StatusAccepted {
		t.Errorf("a cancel: %d %s", a.status, a.body)
	}
	if got := e.next(); !strings.Contains(got, `"id":1,"error"`) {
		t.Errorf("the canceled call: %s", got)
	}
	w.until("there is room again", func() bool { return send(limit+1).status == http.StatusAccepted })
}
