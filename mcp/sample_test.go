package mcp_test

import (
	"context"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp"
)

// allRecords are all entries of a key's, however many, by their ends: the outcome
// of a call, the decision of what is none.
func (w *world) allRecords(k keys.Issued) map[string]int {
	w.t.Helper()
	ends, q := map[string]int{}, keys.AuditQuery{KeyID: k.Key.ID, Limit: 200}
	for {
		page, err := w.svc.AuditEvents(w.t.Context(), w.op, q)
		must(w.t, err)
		for _, e := range page {
			if e.Kind == "call" {
				ends[e.Outcome]++
			} else {
				ends[e.Decision]++
			}
		}
		if len(page) < q.Limit {
			return ends
		}
		q.Before = page[len(page)-1].ID
	}
}

// TestSampleLeavesOutOnlyWhatWentWell: at a share of 0 no call with outcome ok is
// recorded, of whatever kind; each denial and each call with another end is, and
// so is the change that an ok call makes.
func TestSampleLeavesOutOnlyWhatWentWell(t *testing.T) {
	w := newWorld(t, func(c *mcp.Config) { c.AuditSkip = 1 })
	up := newUpstream(t, tool("ok", "r"), tool("fails", "r"), tool("refuses", "r"), tool("waits", "r")).
		with(others{prompts: []string{prompt("p")}})
	asking := newModern(t, tool("ask", "r"))
	w.mount("a1", up)
	w.mount("b1", asking)
	begun := make(chan struct{}, 1)
	up.on("fails", func(fakeCall) string { return `{"content":[],"isError":true}` })
	up.on("refuses", func(fakeCall) string { return answersError + `{"code":-32000,"message":"no"}` })
	up.on("waits", func(c fakeCall) string { begun <- struct{}{}; <-c.done; return `{"content":[]}` })
	asking.on("ask", func(fakeCall) string {
		return `{"resultType":"input_required","inputRequests":{"q0":{"method":"elicitation/create","params":` + form + `}}}`
	})
	k := w.key()
	call := func(name string) { w.modern(k, "/mcp", "tools/call", `"name":`+quoted(name)) }
	const each = 5
	for range each {
		call("a1__ok")
		call("whoami")
		w.modern(k, "/mcp", "prompts/get", `"name":"a1__p"`)
		call("a1__fails")
		call("a1__refuses")
		call("a1__hidden")
		w.modernCan(k, canAll, "tools/call", `"name":"b1__ask"`)
		w.goAway(k, "a1__waits", begun)
	}
	c := w.connect(k, "/mcp")
	if a := c.call("create_api_key", `{"name":"made","reveal":true}`); !strings.Contains(a.body, `"structuredContent"`) {
		t.Fatalf("%d %s", a.status, a.body)
	}
	want := map[string]int{"tool_error": each, "upstream_error": each, "canceled": each, "input_required": each, "deny": each, "allow": 1}
	w.until("what is always recorded is", func() bool {
		got := w.allRecords(k)
		for end, n := range want {
			if got[end] != n {
				return false
			}
		}
		return true
	})
	if got := w.allRecords(k); got["ok"] != 0 || len(got) != len(want) {
		t.Errorf("recorded: %v", got)
	}
	if n := w.gw.Stats().Unsampled; n != 3*each+1 {
		t.Errorf("%d calls are counted as left out, want %d", n, 3*each+1)
	}
}

// goAway makes a call and goes away once it has begun.
func (w *world) goAway(k keys.Issued, name string, begun <-chan struct{}) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.http.URL+"/mcp",
		strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":`+quoted(name)+`,`+modernMeta+`}}`))
	must(w.t, err)
	for name, value := range map[string]string{"Authorization": "Bearer " + k.Secret.Reveal(), "Content-Type": "application/json",
		"Accept": "application/json, text/event-stream", "Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": name} {
		req.Header.Set(name, value)
	}
	go func() { <-begun; cancel() }()
	if res, err := w.client.Do(req); err == nil {
		_ = res.Body.Close()
		w.t.Errorf("%s was answered: %d", name, res.StatusCode)
	}
}

// TestSampleShare: of many calls the share is recorded, and the rest is counted.
func TestSampleShare(t *testing.T) {
	const calls = 4000
	for name, tt := range map[string]struct {
		skip     float64
		min, max int
	}{
		"each":      {0, calls, calls},
		"none":      {1, 0, 0},
		"a quarter": {0.75, quarter(calls, -6), quarter(calls, 6)},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(c *mcp.Config) { c.AuditSkip = tt.skip })
			k := w.key()
			r := httptest.NewRequest(http.MethodPost, "/mcp", nil)
			r.Header.Set("Authorization", "Bearer "+k.Secret.Reveal())
			m, err := mcp.MessageOf([]byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami"}}`))
			must(t, err)
			for range calls {
				if !mcp.Admit(w.gw, httptest.NewRecorder(), r, m) {
					t.Fatal("denied")
				}
			}
			skipped := int(w.gw.Stats().Unsampled)
			w.until("the rest is recorded", func() bool { return w.allRecords(k)["ok"] >= calls-skipped })
			got := w.allRecords(k)
			if got["ok"]+skipped != calls || got["ok"] < tt.min || got["ok"] > tt.max {
				t.Errorf("%v recorded, %d counted as left out; want %d to %d of %d", got, skipped, tt.min, tt.max, calls)
			}
		})
	}
}

// quarter is how many of n draws of 1 in 4 come out, so many standard deviations
// away from the mean; 6 of them are missed once in 500 million runs.
func quarter(n int, deviations float64) int {
	mean := float64(n) / 4
	return int(mean + deviations*math.Sqrt(mean*3/4))
}

// TestSampleRefused: a share that is none is refused at the start.
func TestSampleRefused(t *testing.T) {
	w := newWorld(t)
	for _, bad := range []float64{-0.1, 1.1, math.NaN(), math.Inf(1)} {
		_, err := mcp.New(mcp.Config{Service: w.svc, Authenticate: w.authenticate, AuditSkip: bad})
		if err == nil || !strings.Contains(err.Error(), "AuditSkip") {
			t.Errorf("%v: %v", bad, err)
		}
	}
}
