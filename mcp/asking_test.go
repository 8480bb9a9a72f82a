package mcp_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// What the tests ask, and what is answered.
const (
	form     = `{"message":"Who?","requestedSchema":{"type":"object","properties":{"n":{"type":"integer","default":12345678901234567890}}}}`
	formed   = `{"action":"accept","content":{"n":12345678901234567890}}`
	sampling = `{"messages":[{"role":"user","content":{"type":"text","text":"Hi"}}],"maxTokens":7}`
	sampled  = `{"role":"assistant","content":{"type":"text","text":"Ho"},"model":"m","stopReason":"endTurn"}`
	rooted   = `{"roots":[{"uri":"file:///r","name":"r"}]}`

	canAll = `{"elicitation":{"form":{},"url":{}},"sampling":{"tools":{}},"roots":{}}`
)

// answers of a client that can do everything.
var answers = map[string]string{"elicitation/create": formed, "sampling/createMessage": sampled, "roots/list": rooted}

// rpc is one JSON-RPC message.
type rpc struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Code    int             `json:"code"`
		Message string          `json:"message"`
		Data    json.RawMessage `json:"data"`
	} `json:"error"`
}

func parse(t testing.TB, text string) (m rpc) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return m
}

// initializeWith is the handshake of a client with these capabilities.
func initializeWith(can string) string {
	return strings.Replace(initialize, `"capabilities":{}`, `"capabilities":`+can, 1)
}

func metaWith(can string) string {
	return strings.Replace(modernMeta, `"io.modelcontextprotocol/clientCapabilities":{}`, `"io.modelcontextprotocol/clientCapabilities":`+can, 1)
}

// connectCan is a client of 2025-11-25 with these capabilities.
func (w *world) connectCan(k keys.Issued, can string) *legacy {
	w.t.Helper()
	a := w.post("/mcp", initializeWith(can), auth(k)...)
	if a.status != http.StatusOK {
		w.t.Fatalf("initialize: %d %s", a.status, a.body)
	}
	return &legacy{w, "/mcp", append(auth(k), "Mcp-Session-Id", a.header.Get("Mcp-Session-Id"))}
}

// callStream begins a call that is answered by events.
func (l *legacy) callStream(id int, method, params string) *events {
	l.w.t.Helper()
	return l.w.stream(http.MethodPost, l.path, request(id, method, params), l.headers...)
}

func request(id int, method, params string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":%q,"params":{%s}}`, id, method, params)
}

// answerTo is a response with this result.
func answerTo(id json.RawMessage, result string) string {
	return `{"jsonrpc":"2.0","id":` + string(id) + `,"result":` + result + `}`
}

func refusalTo(id json.RawMessage, code int, message string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"error":{"code":%d,"message":%q}}`, id, code, message)
}

// modernCan sends one request of 2026-07-28 of a client with these capabilities.
func (w *world) modernCan(k keys.Issued, can, method, params string) answer {
	w.t.Helper()
	headers := append(auth(k), "Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", method)
	var p struct{ Name, URI string }
	_ = json.Unmarshal([]byte("{"+params+"}"), &p)
	if name := p.Name + p.URI; name != "" {
		headers = append(headers, "Mcp-Name", name)
	}
	return w.post("/mcp", request(1, method, params+","+metaWith(can)), headers...)
}

// inputRequired is what a result that asks for input says.
type inputRequired struct {
	ResultType    string         `json:"resultType"`
	InputRequests map[string]rpc `json:"inputRequests"`
	RequestState  *string        `json:"requestState"`
}

func inputOf(t testing.TB, result json.RawMessage) (in inputRequired) {
	t.Helper()
	if err := json.Unmarshal(result, &in); err != nil || in.ResultType != "input_required" {
		t.Fatalf("no questions: %v %s", err, result)
	}
	return in
}

// retry is the params of the next round, which answers each question.
func (in inputRequired) retry(params string, by map[string]string) string {
	parts := []string{}
	for key, q := range in.InputRequests {
		parts = append(parts, quoted(key)+":"+by[q.Method])
	}
	params += `,"inputResponses":{` + strings.Join(parts, ",") + `}`
	if in.RequestState != nil {
		params += `,"requestState":` + quoted(*in.RequestState)
	}
	return params
}

// door is a client that answers what it is asked, whatever the transport:
// it makes one request, and gives back the answer to it.
type door func(w *world, k keys.Issued, can, method, params string, by map[string]string) rpc

// askingDoors are the ways to the gateway.
var askingDoors = map[string]door{
	"legacy/http": func(w *world, k keys.Issued, can, method, params string, by map[string]string) rpc {
		c := w.connectCan(k, can)
		e := c.callStream(1, method, params)
		return converse(w.t, e.next, func(l string) { c.send(l) }, by)
	},
	"legacy/sse": func(w *world, k keys.Issued, can, method, params string, by map[string]string) rpc {
		e := w.stream(http.MethodGet, "/sse", "", auth(k)...)
		endpoint := e.next()
		send := func(l string) { w.post(endpoint, l, auth(k)...) }
		send(initializeWith(can))
		e.next()
		send(request(1, method, params))
		return converse(w.t, e.next, send, by)
	},
	"legacy/stdio": func(w *world, k keys.Issued, can, method, params string, by map[string]string) rpc {
		return overPipes(w, k, "local", can, method, params, by)
	},
	"legacy/relay": func(w *world, k keys.Issued, can, method, params string, by map[string]string) rpc {
		return overPipes(w, k, "relay", can, method, params, by)
	},
	"modern/http": func(w *world, k keys.Issued, can, method, params string, by map[string]string) rpc {
		return rounds(w.t, params, by, func(params string) string { return w.modernCan(k, can, method, params).body })
	},
	"modern/stdio": func(w *world, k keys.Issued, can, method, params string, by map[string]string) rpc {
		return roundsOverPipes(w, k, "local", can, method, params, by)
	},
	"modern/relay": func(w *world, k keys.Issued, can, method, params string, by map[string]string) rpc {
		return roundsOverPipes(w, k, "relay", can, method, params, by)
	},
}

// converse answers requests until a message answers the first one, of id 1.
func converse(t testing.TB, next func() string, send func(string), by map[string]string) rpc {
	t.Helper()
	for range 20 {
		m := parse(t, next())
		switch {
		case m.Method == "":
			return m
		case m.ID != nil:
			send(answerTo(m.ID, by[m.Method]))
		}
	}
	t.Fatal("no end of questions")
	return rpc{}
}

func overPipes(w *world, k keys.Issued, way, can, method, params string, by map[string]string) rpc {
	p := startPipes(w.t.(*testing.T), doors(w, k)[way])
	p.send(initializeWith(can), initialized)
	p.expect(`"id":"init"`)
	p.send(request(1, method, params))
	return converse(w.t, p.next, func(l string) { p.send(l) }, by)
}

// rounds makes the request again until it has its result.
func rounds(t testing.TB, params string, by map[string]string, call func(params string) string) rpc {
	t.Helper()
	next := params
	for range 20 {
		m := parse(t, call(next))
		if m.Result == nil || !strings.Contains(string(m.Result), `"input_required"`) {
			return m
		}
		next = inputOf(t, m.Result).retry(params, by)
	}
	t.Fatal("no end of rounds")
	return rpc{}
}

func roundsOverPipes(w *world, k keys.Issued, way, can, method, params string, by map[string]string) rpc {
	p := startPipes(w.t.(*testing.T), doors(w, k)[way])
	n := 0
	return rounds(w.t, params, by, func(params string) string {
		n++
		p.send(request(n, method, params+","+metaWith(can)))
		return p.next()
	})
}

// asksAll has a tool of the upstream ask these things at once and answer with
// what it got, in order: {"got":[…]}. plainly is the rest of its result.
func (u *fakeUpstream) asksAll(name, plainly string, questions ...[2]string) {
	if u.modern {
		u.on(name, func(c fakeCall) string { return modernAsks(c, plainly, questions) })
		return
	}
	u.on(name, func(c fakeCall) string {
		got := make([]string, len(questions))
		var all sync.WaitGroup
		for i, q := range questions {
			all.Go(func() { got[i] = c.ask(q[0], q[1]) })
		}
		all.Wait()
		for i := range got {
			var m struct{ Result, Error json.RawMessage }
			_ = json.Unmarshal([]byte(got[i]), &m)
			if got[i] = string(m.Result); m.Result == nil {
				return answersError + `{"code":-32603,"message":"refused","data":` + cmp.Or(string(m.Error), `null`) + `}`
			}
		}
		return `{` + plainly + `,"got":[` + strings.Join(got, ",") + `]}`
	})
}

const upstreamState = `the "upstream's" own`

func modernAsks(c fakeCall, plainly string, questions [][2]string) string {
	var p struct {
		InputResponses map[string]json.RawMessage `json:"inputResponses"`
		RequestState   string                     `json:"requestState"`
	}
	_ = json.Unmarshal(c.Params, &p)
	asks, got := []string{}, []string{}
	for i, q := range questions {
		key := fmt.Sprintf("q%d", i)
		asks = append(asks, fmt.Sprintf(`%q:{"method":%q,"params":%s}`, key, q[0], q[1]))
		got = append(got, string(p.InputResponses[key]))
	}
	if p.InputResponses == nil {
		return `{"resultType":"input_required","inputRequests":{` + strings.Join(asks, ",") + `},"requestState":` + quoted(upstreamState) + `}`
	}
	if p.RequestState != upstreamState {
		return answersError + `{"code":-32602,"message":"bad state"}`
	}
	return `{"resultType":"complete",` + plainly + `,"got":[` + strings.Join(got, ",") + `]}`
}
