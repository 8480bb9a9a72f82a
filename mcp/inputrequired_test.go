package mcp_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

const callAsk = `"name":"a1__ask","arguments":{"a":1}`

// TestCapabilitiesPass: an upstream of 2026-07-28 is told what the client of
// each call can be asked, and nothing else.
func TestCapabilitiesPass(t *testing.T) {
	w := newWorld(t)
	up := newModern(t, tool("x", "r"))
	w.mount("a1", up)
	k := w.key()
	for declared, want := range map[string]string{
		`{}`: `{}`,
		`{"elicitation":{},"experimental":{"x":{}},"tasks":{},"extensions":{"io.x/y":{}}}`: `{"elicitation":{"form":{}}}`,
		`{"elicitation":{"url":{}}}`:                       `{"elicitation":{"url":{}}}`,
		`{"elicitation":{"form":{},"url":{}}}`:             `{"elicitation":{"form":{},"url":{}}}`,
		`{"sampling":{},"roots":{"listChanged":true}}`:     `{"roots":{},"sampling":{}}`,
		`{"sampling":{"tools":{},"context":{},"more":{}}}`: `{"sampling":{"tools":{}}}`,
		`{"sampling":null,"roots":true,"elicitation":[]}`:  `{}`,
		`{"Sampling":{},"ELICITATION":{}}`:                 `{}`,
	} {
		told := func(who string) {
			t.Helper()
			calls := up.seen()
			var meta map[string]json.RawMessage
			must(t, json.Unmarshal(calls[len(calls)-1].Meta, &meta))
			if got := string(meta["io.modelcontextprotocol/clientCapabilities"]); got != want {
				t.Errorf("%s with %s: told %s, want %s", who, declared, got, want)
			}
		}
		w.modernCan(k, declared, "tools/call", `"name":"a1__x"`)
		told("2026-07-28")
		if declared != `{"sampling":null,"roots":true,"elicitation":[]}` { // mcp-go refuses such a handshake
			w.connectCan(k, declared).call("a1__x", `{}`)
			told("2025-11-25")
		}
	}
}

// TestStateIsSealed: the upstream's state goes to the client sealed, comes back
// to the upstream as it was, and counts for nobody else and nothing else.
func TestStateIsSealed(t *testing.T) {
	w := newWorld(t)
	up := newModern(t, tool("ask", "r"), tool("other", "r"), tool("also", "r"))
	w.mount("a1", up)
	foreign := w.tenant("other")
	w.mountAs(foreign, "a1", newModern(t, tool("ask", "r")))
	up.asksAll("ask", `"content":[]`, [2]string{"elicitation/create", form})
	k, other := w.key(), w.key()
	first := w.modernCan(k, canAll, "tools/call", callAsk)
	in := inputOf(t, parse(t, first.body).Result)
	if in.RequestState == nil || strings.Contains(first.body, `own`) {
		t.Fatalf("the state is not sealed: %s", first.body)
	}
	if !strings.Contains(first.body, `"inputRequests":{"q0":{"method":"elicitation/create","params":`+form+`}}`) {
		t.Errorf("the questions were changed: %s", first.body)
	}
	retry := in.retry(callAsk, answers)
	state := quoted(*in.RequestState)
	before := len(up.seen())
	for name, a := range map[string]func() answer{
		"another key":    func() answer { return w.modernCan(other, canAll, "tools/call", retry) },
		"another tenant": func() answer { return w.modernCan(w.keyAs(foreign), canAll, "tools/call", retry) },
		"other arguments": func() answer {
			return w.modernCan(k, canAll, "tools/call", strings.Replace(retry, `{"a":1}`, `{"a":2}`, 1))
		},
		"no arguments": func() answer {
			return w.modernCan(k, canAll, "tools/call", strings.Replace(retry, `,"arguments":{"a":1}`, ``, 1))
		},
		"another tool": func() answer {
			return w.modernCan(k, canAll, "tools/call", strings.Replace(retry, `a1__ask`, `a1__other`, 1))
		},
		"a built-in": func() answer {
			return w.modernCan(k, canAll, "tools/call", strings.Replace(retry, `a1__ask`, `whoami`, 1))
		},
		"tampered": func() answer {
			return w.modernCan(k, canAll, "tools/call", strings.Replace(retry, state, state[:len(state)-1]+`-TAMPERED"`, 1))
		},
		"the upstream's own": func() answer {
			return w.modernCan(k, canAll, "tools/call", strings.Replace(retry, state, quoted(upstreamState), 1))
		},
		"a number":            func() answer { return w.modernCan(k, canAll, "tools/call", strings.Replace(retry, state, `7`, 1)) },
		"null":                func() answer { return w.modernCan(k, canAll, "tools/call", strings.Replace(retry, state, `null`, 1)) },
		"an empty one":        func() answer { return w.modernCan(k, canAll, "tools/call", strings.Replace(retry, state, `""`, 1)) },
		"answers of no shape": func() answer { return w.modernCan(k, canAll, "tools/call", callAsk+`,"inputResponses":7`) },
		"null for answers":    func() answer { return w.modernCan(k, canAll, "tools/call", callAsk+`,"inputResponses":null`) },
	} {
		if got := a(); got.status != 400 || !strings.Contains(got.body, `"id":1,"error":{"code":-32602`) {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	if n := len(up.seen()); n != before {
		t.Errorf("the upstream got %d of them", n-before)
	}
	if a := w.modernCan(k, canAll, "tools/call", retry); !strings.Contains(a.body, `"resultType":"complete"`) || !strings.Contains(a.body, `"got":[`+formed+`]`) {
		t.Errorf("the right one: %d %s", a.status, a.body)
	}
	w.clock.Advance(59 * time.Minute)
	if a := w.modernCan(k, canAll, "tools/call", retry); a.status != 200 {
		t.Errorf("within the hour: %d %s", a.status, a.body)
	}
	w.clock.Advance(2 * time.Minute)
	if a := w.modernCan(k, canAll, "tools/call", retry); a.status != 400 || !strings.Contains(a.body, "again without requestState") {
		t.Errorf("after the hour: %d %s", a.status, a.body)
	}
}

// TestNoState: an upstream that gives no state gets answers without one, be
// they to something that it asked or not.
func TestNoState(t *testing.T) {
	w := newWorld(t)
	up := newModern(t, tool("ask", "r"))
	w.mount("a1", up)
	up.on("ask", func(c fakeCall) string {
		var p map[string]json.RawMessage
		_ = json.Unmarshal(c.Params, &p)
		if strings.Contains(string(p["inputResponses"]), "q0") && p["requestState"] == nil {
			return `{"resultType":"complete","content":[],"got":` + string(p["inputResponses"]) + `}`
		}
		return `{"resultType":"input_required","inputRequests":{"q0":{"method":"elicitation/create","params":` + form + `}}}`
	})
	k := w.key()
	in := inputOf(t, parse(t, w.modernCan(k, canAll, "tools/call", callAsk).body).Result)
	if in.RequestState != nil {
		t.Errorf("a state came from nowhere: %s", *in.RequestState)
	}
	inputOf(t, parse(t, w.modernCan(k, canAll, "tools/call", callAsk+`,"inputResponses":{"wrong":{}}`).body).Result)
	const given = `{"more":1, "q0":{"action":"accept"}}`
	if a := w.modernCan(k, canAll, "tools/call", callAsk+`,"inputResponses":`+given); !strings.Contains(a.body, `"got":`+given) {
		t.Errorf("answered %s", a.body)
	}
	// To a client of the older era these params mean nothing.
	got := w.connectCan(k, `{}`).send(request(1, "tools/call", callAsk+`,"inputResponses":`+given+`,"requestState":"x"`))
	if strings.Contains(got.body, `"got"`) {
		t.Errorf("2025-11-25: %s", got.body)
	}
}

// TestMissingCapability: a question that the client did not declare is -32021
// under HTTP 400, which says what was missing, whatever the upstream speaks.
func TestMissingCapability(t *testing.T) {
	w := newWorld(t)
	ups := map[string]*fakeUpstream{"old": newUpstream(t, tool("ask", "r")), "new": newModern(t, tool("ask", "r"))}
	for slug, up := range ups {
		w.mount(slug, up)
	}
	k := w.key()
	link := `{"mode":"url","message":"Go","url":"https://example.com","elicitationId":"e"}`
	for _, c := range []struct{ name, can, method, params, want string }{
		{"sampling", `{}`, "sampling/createMessage", sampling, `{"sampling":{}}`},
		{"sampling, of one that elicits", `{"elicitation":{}}`, "sampling/createMessage", sampling, `{"sampling":{}}`},
		{"tools", `{"sampling":{}}`, "sampling/createMessage", `{"tools":[],` + sampling[1:], `{"sampling":{"tools":{}}}`},
		{"elicitation", `{"sampling":{}}`, "elicitation/create", form, `{"elicitation":{"form":{}}}`},
		{"url", `{"elicitation":{}}`, "elicitation/create", link, `{"elicitation":{"url":{}}}`},
		{"roots", `{"elicitation":{}}`, "roots/list", `{}`, `{"roots":{}}`},
	} {
		for slug, up := range ups {
			if slug == "old" && c.name == "roots" {
				continue
			}
			t.Run(slug+"/"+c.name, func(t *testing.T) {
				up.asksAll("ask", `"content":[]`, [2]string{c.method, c.params})
				a := w.modernCan(k, c.can, "tools/call", `"name":"`+slug+`__ask"`)
				m := parse(t, a.body)
				if a.status != 400 || m.Error == nil || m.Error.Code != -32021 || string(m.ID) != "1" || string(m.Error.Data) != `{"requiredCapabilities":`+c.want+`}` {
					t.Errorf("%d %s", a.status, a.body)
				}
			})
		}
	}
	// A client of the older era is told as well, where it would be asked for it.
	ups["new"].asksAll("ask", `"content":[]`, [2]string{"sampling/createMessage", sampling})
	if a := w.connectCan(k, `{"elicitation":{}}`).call("new__ask", `{}`); a.status != 200 || !strings.Contains(a.body, `"code":-32021`) || !strings.Contains(a.body, "sampling") {
		t.Errorf("2025-11-25: %d %s", a.status, a.body)
	}
	// An upstream that does without the answer has its own result pass.
	ups["old"].on("ask", func(c fakeCall) string {
		return `{"content":[],"refused":` + fmt.Sprint(strings.Contains(c.ask("sampling/createMessage", sampling), `"error"`)) + `}`
	})
	if a := w.modernCan(k, `{}`, "tools/call", `"name":"old__ask"`); a.status != 200 || !strings.Contains(a.body, `"refused":true`) {
		t.Errorf("an upstream that does without: %d %s", a.status, a.body)
	}
	ups["old"].on("ask", func(c fakeCall) string {
		_ = c.ask("sampling/createMessage", sampling)
		return `{"content":[],"isError":true}`
	})
	if a := w.modernCan(k, `{}`, "tools/call", `"name":"old__ask"`); a.status != 400 || !strings.Contains(a.body, "-32021") {
		t.Errorf("a tool that fails for it: %d %s", a.status, a.body)
	}
	ups["new"].on("ask", func(fakeCall) string {
		return answersError + `{"code":-32021,"message":"no","data":{"requiredCapabilities":{"x":{}}}}`
	})
	if a := w.modernCan(k, canAll, "tools/call", `"name":"new__ask"`); a.status != 400 || !strings.Contains(a.body, `{"requiredCapabilities":{"x":{}}}`) {
		t.Errorf("the upstream's own: %d %s", a.status, a.body)
	}
}

// TestBadInputRequired: questions that are not what the protocol says reach
// nobody.
func TestBadInputRequired(t *testing.T) {
	w := newWorld(t)
	up := newModern(t, tool("ask", "r")).with(others{prompts: []string{prompt("p")}})
	w.mount("a1", up)
	k := w.key()
	many := make([]string, 65)
	for i := range many {
		many[i] = fmt.Sprintf(`"k%d":{"method":"roots/list"}`, i)
	}
	for name, members := range map[string]string{
		"nothing":             `"content":[]`,
		"empty":               `"inputRequests":{}`,
		"a list":              `"inputRequests":[]`,
		"one is no object":    `"inputRequests":{"a":1}`,
		"one without method":  `"inputRequests":{"a":{}}`,
		"another method":      `"inputRequests":{"a":{"method":"tools/call","params":{}}}`,
		"params is a list":    `"inputRequests":{"a":{"method":"roots/list","params":[]}}`,
		"a key twice":         `"inputRequests":{"a":{"method":"roots/list"},"a":{"method":"roots/list"}}`,
		"method twice":        `"inputRequests":{"a":{"method":"roots/list","METHOD":"sampling/createMessage"}}`,
		"spelled in capitals": `"inputRequests":{"a":{"method":"roots/list"}},"RequestState":"x"`,
		"state is a number":   `"requestState":7`,
		"state is too large":  `"requestState":"` + strings.Repeat("x", 1<<20) + `"`,
		"too many":            `"inputRequests":{` + strings.Join(many, ",") + `}`,
	} {
		up.on("ask", func(fakeCall) string { return `{"resultType":"input_required",` + members + `}` })
		for era, a := range map[string]answer{"2026": w.modernCan(k, canAll, "tools/call", callAsk), "2025": w.connectCan(k, canAll).send(request(1, "tools/call", callAsk))} {
			if !strings.Contains(a.body, `"error":{"code":-32603`) {
				t.Errorf("%s, %s: %d %.300s", name, era, a.status, a.body)
			}
		}
	}
	up.on("", func(fakeCall) string { // a completion names nothing itself
		return `{"resultType":"input_required","inputRequests":{"a":{"method":"roots/list"}}}`
	})
	completion := w.modernCan(k, canAll, "completion/complete", `"ref":{"type":"ref/prompt","name":"a1__p"},"argument":{"name":"a","value":"b"}`)
	if !strings.Contains(completion.body, `"error":{"code":-32603`) {
		t.Errorf("a completion asks: %s", completion.body)
	}
}

// TestRoundsOfLegacyClients: what becomes of a legacy client's refusals, and
// of an upstream that never has enough.
func TestRoundsOfLegacyClients(t *testing.T) {
	w := newWorld(t)
	up := newModern(t, tool("ask", "r"), tool("shed", "r"), tool("greedy", "r"))
	w.mount("a1", up)
	k := w.key()
	for method, want := range map[string]string{
		"elicitation/create":     `"got":[{"action":"cancel"}]`,
		"sampling/createMessage": `"error":{"code":-1,"message":"The client did not answer sampling/createMessage: no"`,
		"roots/list":             `"error":{"code":-1,"message":"The client did not answer roots/list: no"`,
	} {
		up.asksAll("ask", `"content":[]`, [2]string{method, map[string]string{"elicitation/create": form, "sampling/createMessage": sampling, "roots/list": `{}`}[method]})
		c := w.connectCan(k, canAll)
		e := c.callStream(1, "tools/call", callAsk)
		c.send(refusalTo(parse(t, e.next()).ID, -1, "no"))
		if got := e.next(); !strings.Contains(got, want) {
			t.Errorf("%s refused: %s", method, got)
		}
	}
	var tries atomic.Int64
	up.on("shed", func(fakeCall) string {
		if tries.Add(1) < 3 {
			return `{"resultType":"input_required","requestState":"later"}`
		}
		return `{"resultType":"complete","content":[],"done":true}`
	})
	if a := w.connectCan(k, `{}`).send(request(1, "tools/call", `"name":"a1__shed"`)); !strings.Contains(a.body, `"done":true`) {
		t.Errorf("an upstream with too much to do: %s", a.body)
	}
	var rounds atomic.Int64
	up.on("greedy", func(fakeCall) string {
		rounds.Add(1)
		return `{"resultType":"input_required","inputRequests":{"a":{"method":"roots/list"}},"requestState":"more"}`
	})
	got := askingDoors["legacy/http"](w, k, canAll, "tools/call", `"name":"a1__greedy"`, answers)
	if got.Error == nil || !strings.Contains(got.Error.Message, "more than 10 times") || rounds.Load() != 11 {
		t.Errorf("after %d rounds: %+v", rounds.Load(), got.Error)
	}
}

// TestRoundAfterEdit: between two rounds a call is decided again.
func TestRoundAfterEdit(t *testing.T) {
	w := newWorld(t)
	up := newModern(t, tool("ask", "r"))
	w.mount("a1", up)
	up.asksAll("ask", `"content":[]`, [2]string{"elicitation/create", form})
	k := w.key()
	c := w.connectCan(k, canAll)
	e := c.callStream(1, "tools/call", callAsk)
	q := parse(t, e.next())
	_, err := w.svc.UpdateKey(t.Context(), w.op, k.Key.ID, keys.KeyPatch{PolicyPatch: keys.PolicyPatch{MCPAllowlistMode: keys.Some(policy.ModeAllow)}})
	must(t, err)
	c.send(answerTo(q.ID, formed))
	if got := e.next(); !strings.Contains(got, "Unknown tool: a1__ask") {
		t.Errorf("answered %s", got)
	}
	if n := len(up.seen()); n != 1 {
		t.Errorf("the upstream got %d calls", n)
	}
}
