package mcp_test

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestGarbageBehindACall: what a client sends behind a call that runs is not
// looked at before the call's answer, and then refused; neither takes anything
// from the call, nor from others.
func TestGarbageBehindACall(t *testing.T) {
	w := newWorld(t)
	up := newFaulty(t, nil)
	up.setTools(tool("wait", "r"))
	w.mount("a1", up.fakeUpstream)
	k, other := w.key(), w.bystander()
	w.until("the upstream is listened to", up.followed)
	idle := w.goroutines()
	for _, garbage := range []string{"\x00\xff\xfe", strings.Repeat("x", mebibyte), `{"jsonrpc":"2.0"}`, initialize} {
		started, letGo, ended := waiting(up.fakeUpstream)
		conn := w.dial(http.MethodPost, "/mcp", callOf("a1__wait", ""), w.connect(k, "/mcp").headers...)
		<-started
		go func() { _, _ = io.WriteString(conn, garbage+"\r\n\r\n") }()
		other.served("garbage comes behind a call")
		letGo()
		if how := <-ended; how != "let go" {
			t.Errorf("the call was %s", how)
		}
		must(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
		in := bufio.NewReader(conn)
		res, err := http.ReadResponse(in, nil)
		must(t, err)
		body, err := io.ReadAll(res.Body)
		if err != nil || !strings.Contains(string(body), `"content":[]`) {
			t.Errorf("the call is answered %s, %v", body, err)
		}
		if next, err := http.ReadResponse(in, nil); err == nil && next.StatusCode < 400 {
			t.Errorf("garbage is answered %d", next.StatusCode)
		}
		must(t, conn.Close())
	}
	w.settled(idle, "garbage")
}
