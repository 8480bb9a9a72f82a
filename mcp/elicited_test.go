package mcp_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestElicitationComplete: the upstream's word that an elicitation by URL is done
// reaches the session that was asked, once, and no other session of the same key.
func TestElicitationComplete(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, tool("ask", "r"), tool("first", "r"))
	w.mount("a1", up)
	const url = `{"mode":"url","elicitationId":"e-1","url":"https://example.com/x","message":"Sign in"}`
	up.on("ask", func(c fakeCall) string {
		c.ask("elicitation/create", url)
		return `{"content":[]}`
	})
	up.on("first", func(fakeCall) string {
		return answersError + `{"code":-32042,"message":"first","data":{"elicitations":[` + strings.Replace(url, "e-1", "e-2", 1) + `]}}`
	})
	k := w.key()
	asked, other := w.connectCan(k, canAll), w.connectCan(k, canAll)
	told := w.stream(http.MethodGet, "/mcp", "", asked.headers...)
	quiet := w.stream(http.MethodGet, "/mcp", "", other.headers...)

	e := asked.callStream(7, "tools/call", `"name":"a1__ask"`)
	asked.send(answerTo(parse(t, e.next()).ID, `{"action":"accept"}`))
	e.next()
	if a := asked.call("a1__first", `{}`); !strings.Contains(a.body, "-32042") || !strings.Contains(a.body, `"e-2"`) {
		t.Fatal(a.body)
	}
	complete := func(id string) {
		up.say(`"method":"notifications/elicitation/complete","params":{"elicitationId":"` + id + `","x":1}`)
	}
	for _, id := range []string{"e-0", "e-1", "e-1", "e-2"} {
		complete(id) // of which nobody was asked the first, and the third is over
	}
	for _, id := range []string{"e-1", "e-2"} {
		want := `{"jsonrpc":"2.0","method":"notifications/elicitation/complete","params":{"elicitationId":"` + id + `","x":1}}`
		if got := told.next(); got != want {
			t.Errorf("told %s, want %s", got, want)
		}
	}
	up.setTools(tool("ask", "r"), tool("second", "r")) // the first that the other one hears of
	if got := quiet.next(); !strings.Contains(got, "tools/list_changed") {
		t.Errorf("the other session heard %s", got)
	}
}

// say announces a message on the streams that are open.
func (u *fakeUpstream) say(members string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for c := range u.listens {
		c <- members
	}
}
