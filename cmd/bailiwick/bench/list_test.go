package bench_test

import (
	"encoding/json"
	"fmt"
	"testing"
)

const manyTools = 1000

// TestList is tools/list of 1,000 tools: the CPU that one takes of the server,
// for a key that sees a tenth of them and one that sees all, and of the bare
// upstream.
func TestList(t *testing.T) {
	upstream := ourselves(t, "be-upstream", fmt.Sprint(manyTools))
	gateway := serve(t, map[string]any{"many": over(upstream.url + "/many")})
	restricted, open := gateway.key(t, append(patterns(), "tool_01*")), gateway.key(t, nil)
	for _, e := range []era{legacy, modern} {
		m := message{era: e, path: "/many", method: "tools/list"}
		bare := &lane{name: "bare", upstream: upstream}
		bare.dial(t, 1, upstream, m)
		m.path = "/mcp"
		m.token = restricted
		some := &lane{name: "bailiwick, restricted key", gateway: gateway, upstream: upstream}
		some.dial(t, 1, gateway, m)
		m.token = open
		all := &lane{name: "bailiwick, open key", gateway: gateway, upstream: upstream}
		all.dial(t, 1, gateway, m)
		race(t, bare, some, all)
		for _, l := range []*lane{bare, some, all} {
			_, body := l.callers[0].exchange(t)
			var answer struct {
				Result struct{ Tools []json.RawMessage }
			}
			if err := json.Unmarshal([]byte(body), &answer); err != nil || len(answer.Result.Tools) == 0 {
				t.Fatalf("%v in %.200s", err, body)
			}
			t.Logf("tools/list, %s, %s: %d tools, %d bytes; CPU %.0f us of the server, p50 %.0f us, p99 %.0f us",
				l.name, e, len(answer.Result.Tools), len(body), l.each(l.own), microseconds(l.at(50)), microseconds(l.at(99)))
		}
	}
}
