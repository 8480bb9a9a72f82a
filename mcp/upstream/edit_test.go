package upstream_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
)

// TestOwnMembers: what the modern era says in a result is for the gateway to
// say, whatever era the upstream speaks and however it spells it.
func TestOwnMembers(t *testing.T) {
	const serverInfo = `"io.modelcontextprotocol/serverInfo":{"name":"x"}`
	for name, h := range map[string]handlers{"legacy": legacyWeb("s", named("a")), "modern": modernWeb(named("a"))} {
		var next atomic.Value
		h["tools/call"] = func(w http.ResponseWriter, _ *http.Request, m message) {
			answer(w, 200, m, `"result":`+next.Load().(string))
		}
		m := newWeb(t, h).mount(t)
		for _, tt := range []struct{ result, want, fault string }{
			{`{"a":1,"resultType":"complete","b":2,"result\u0054ype":"complete"}`, `{"a":1,"b":2}`, ""},
			{`{"ResultType":"input_required","a":1}`, `{"a":1}`, ""},
			{`{"a":1,"_meta":{"k":1},"_meta":{"k":2}}`, ``, "_meta twice"},
			{`{"a":1,"_meta":{"k":1},"_Meta":{"k":2}}`, `{"a":1,"_meta":{"k":1}}`, ""},
			{`{"a":1,"_meta":7}`, `{"a":1}`, ""},
			{`{"a":1,"_meta":{` + serverInfo + `,"k":1}}`, `{"a":1,"_meta":{"k":1}}`, ""},
		} {
			next.Store(tt.result)
			reply, err := m.Call(context.Background(), upstream.Call{Tool: "a"})
			switch {
			case err != nil:
				t.Errorf("%s, %s: %v", name, tt.result, err)
			case tt.fault != "":
				if reply.Error == nil || !strings.Contains(reply.Error.Message, tt.fault) || reply.Result != nil {
					t.Errorf("%s, %s: %s %v", name, tt.result, reply.Result, reply.Error)
				}
			case string(reply.Result) != tt.want:
				t.Errorf("%s, %s: %s %v, want %s", name, tt.result, reply.Result, reply.Error, tt.want)
			}
		}
		// Of an older upstream it is no word of the protocol, and goes.
		next.Store(`{"resultType":"input_required","resultType":"complete","a":1}`)
		reply, err := m.Call(context.Background(), upstream.Call{Tool: "a"})
		if refused := reply.Error != nil; err != nil || refused != (name == "modern") || !refused && string(reply.Result) != `{"a":1}` {
			t.Errorf("%s: %s %v %v", name, reply.Result, reply.Error, err)
		}
	}
}
