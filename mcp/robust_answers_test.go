package mcp_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

const (
	isDown    = "The instance a1 is not reachable right now"
	isGarbage = "The instance a1 gave an answer that is not valid MCP."
	isLatin   = "The instance a1 gave an answer that is not valid MCP: its text is not valid UTF-8."
	isLarge   = "The instance a1 gave an answer that is larger than a message may be."
	latin     = "caf\xe9 \xff\xfe"
)

var block = strings.Repeat("x", mebibyte)

// wrongAnswers are what an upstream may do instead of answering a call, and what the
// client is told; "" = nothing, for it never ends.
var wrongAnswers = map[string]struct {
	does  fault
	tells string
}{
	"hang":         {func(c *faultyCall) { c.hang() }, ""},
	"hang_in_body": {func(c *faultyCall) { c.json(); c.say(`{"jsonrpc":`); c.hang() }, ""},
	"hang_in_stream": {func(c *faultyCall) {
		c.stream()
		c.say(`data: {"jsonrpc":`)
		c.hang()
	}, ""},

	"cut":        {func(c *faultyCall) { abort() }, isDown},
	"cut_body":   {func(c *faultyCall) { c.json(); c.say(`{"jsonrpc":"2.0","id":`); abort() }, isDown},
	"cut_length": {func(c *faultyCall) { c.json(); c.Header().Set("Content-Length", "1000"); c.say(`{"jsonrpc"`); abort() }, isDown},
	"cut_stream": {func(c *faultyCall) { c.stream(); c.say("data: {\"jsonrpc\":"); abort() }, isDown},
	"cut_events": {func(c *faultyCall) { c.stream(); c.say(": hello\n\ndata: "); abort() }, isDown},
	"no_answer":  {func(c *faultyCall) { c.stream(); c.say(": bye\n\n") }, isDown},

	"twice": {func(c *faultyCall) { c.json(); c.say(c.result("one") + c.result("two")) }, isGarbage},
	"twice_in_stream": {func(c *faultyCall) {
		c.stream()
		c.say("data: " + c.result("one") + "\n\ndata: " + c.result("two") + "\n\n")
	}, `"text":"one"`},
	"other_id": {func(c *faultyCall) { c.json(); c.id = another(c.id); c.say(c.result("x")) }, isGarbage},
	"other_id_in_stream": {func(c *faultyCall) {
		c.stream()
		right := c.result("right")
		c.id = another(c.id)
		c.say("data: " + c.result("wrong") + "\n\ndata: " + right + "\n\n")
	}, `"text":"right"`},
	"unasked_id":    {func(c *faultyCall) { c.json(); c.id = json.RawMessage(`"never"`); c.say(c.result("x")) }, isGarbage},
	"null_id":       {func(c *faultyCall) { c.json(); c.id = json.RawMessage(`null`); c.say(c.result("x")) }, isGarbage},
	"null_id_error": {func(c *faultyCall) { c.json(); c.id = json.RawMessage(`null`); c.say(c.failed(`,"message":"said so"`)) }, `"message":"said so"`},
	"no_id":         {func(c *faultyCall) { c.stream(); c.say("data: {\"jsonrpc\":\"2.0\",\"result\":{}}\n\n") }, isDown},

	"progress_forever": {func(c *faultyCall) {
		c.stream()
		c.forever("data: " + `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":` + string(c.token) + `,"progress":1,"message":"` + block[:1000] + `"}}` + "\n\n")
	}, ""},
	"log_forever": {func(c *faultyCall) {
		c.stream()
		c.forever("data: " + `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"` + block[:1000] + `"}}` + "\n\n")
	}, ""},
	"comments_forever": {func(c *faultyCall) { c.stream(); c.forever(": " + block[:1000] + "\n") }, ""},
	"events_forever":   {func(c *faultyCall) { c.stream(); c.forever("event: x\ndata:\n\n") }, ""},
	"body_forever":     {func(c *faultyCall) { c.json(); c.say(`{"x":"`); c.forever(block) }, isLarge},
	"data_forever":     {func(c *faultyCall) { c.stream(); c.forever("data: " + block[:16<<10] + "\n") }, isLarge},

	"100MB_declared": {func(c *faultyCall) {
		c.json()
		c.Header().Set("Content-Length", strconv.Itoa(100*mebibyte))
		c.repeat(block, 100*mebibyte)
	}, isLarge},
	"event_forever": {func(c *faultyCall) { c.stream(); c.say("data: "); c.forever(block) }, isLarge},
	"100MB_error": {func(c *faultyCall) {
		c.json()
		c.WriteHeader(http.StatusUnprocessableEntity)
		c.repeat(block, 100*mebibyte)
	}, isGarbage},

	"latin": {func(c *faultyCall) { c.json(); c.say(c.result(latin)) }, isLatin},
	"latin_key": {func(c *faultyCall) {
		c.json()
		c.say(`{"jsonrpc":"2.0","id":` + string(c.id) + `,"result":{"` + latin + `":1}}`)
	}, isLatin},
	"latin_outside": {func(c *faultyCall) {
		c.json()
		c.say(`{"jsonrpc":"2.0","id":` + string(c.id) + `,"result":{},"` + latin + `":1}`)
	}, isLatin},
	"latin_in_stream":  {func(c *faultyCall) { c.stream(); c.say("data: " + c.result(latin) + "\n\n") }, isLatin},
	"latin_error":      {func(c *faultyCall) { c.json(); c.say(c.failed(`,"message":"` + latin + `"`)) }, isLatin},
	"latin_error_data": {func(c *faultyCall) { c.json(); c.say(c.failed(`,"message":"x","data":{"y":"` + latin + `"}`)) }, isLatin},
	"latin_log": {func(c *faultyCall) {
		c.stream()
		c.say(`data: {"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"` + latin + `"}}` + "\n\n")
		c.say("data: " + c.result("after the log") + "\n\n")
	}, `"text":"after the log"`},
	"latin_progress": {func(c *faultyCall) {
		c.stream()
		c.say(`data: {"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":` + string(c.token) + `,"progress":1,"message":"` + latin + `"}}` + "\n\n")
		c.say("data: " + c.result("after the progress") + "\n\n")
	}, `"text":"after the progress"`},
	"latin_request": {func(c *faultyCall) {
		c.stream()
		c.say(`data: {"jsonrpc":"2.0","id":"` + latin + `","method":"ping"}` + "\n\ndata: " + c.result("after the ping") + "\n\n")
	}, `"text":"after the ping"`},
}

// another is an id that no running request has.
func another(id json.RawMessage) json.RawMessage {
	n, _ := strconv.Atoi(string(id))
	return json.RawMessage(strconv.Itoa(n + 1_000_000))
}

// TestWrongAnswers: whatever an upstream does with a call, its client gets one
// valid answer that names the instance, or may leave, which the upstream is
// told; other tenants and the instance's other calls are served meanwhile, no
// more than one message's limit is read, and nothing stays behind.
func TestWrongAnswers(t *testing.T) {
	w := newWorld(t)
	faults := map[string]fault{}
	for name, c := range wrongAnswers {
		faults[name] = c.does
	}
	up := newFaulty(t, faults)
	w.mount("a1", up.fakeUpstream)
	k, other := w.key(), w.bystander()
	c := w.connect(k, "/mcp")
	c.send(`{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"info"}}`)
	other.served("nothing is wrong")
	w.until("the upstream is listened to", up.followed)
	idle, began := w.goroutines()+1, heap() // each part of the test has its own
	for name, wrong := range wrongAnswers {
		t.Run(name, func(t *testing.T) {
			w, other := w.in(t), &bystander{w.in(t), other.key}
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			got := make(chan string, 1)
			go func() { got <- c.in(w).read(ctx, name) }()
			if wrong.tells == "" {
				select {
				case <-up.begun:
				case body := <-got:
					t.Fatalf("the client got %.300q", body)
				}
			}
			other.served(name)
			if a := w.modern(k, "/mcp", "tools/call", `"name":"a1__good"`); !strings.Contains(a.body, `"text":"ok"`) {
				t.Errorf("the instance's next call: %d %s", a.status, a.body)
			}
			if wrong.tells == "" {
				leave()
			}
			if body := <-got; !strings.Contains(body, wrong.tells) || !utf8.ValidString(body) {
				t.Errorf("the client got %.300q, want %q", body, wrong.tells)
			}
			// What stands in buffers of the two sockets is not read.
			if n := up.ended(w); strings.HasPrefix(wrong.tells, "The instance") && n > 40*mebibyte {
				t.Errorf("%d bytes were taken of the upstream", n)
			}
			w.settled(idle, name)
		})
	}
	if now := heap(); now > began+32*mebibyte {
		t.Errorf("the heap grew from %d to %d bytes", began, now)
	}
}

// in is the same world for a part of the test.
func (w *world) in(t *testing.T) *world {
	part := &world{t: t, svc: w.svc, gw: w.gw, http: w.http, op: w.op, clock: w.clock, store: w.store, client: w.client, served: w.served}
	return part
}

func (l *legacy) in(w *world) *legacy { return &legacy{w, l.path, l.headers} }

// read calls a tool of a1 with a progress token, and is what came as the answer
// until it ended or the client left; each event that came must be valid JSON.
func (l *legacy) read(ctx context.Context, name string) string {
	l.w.t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.w.http.URL+l.path, strings.NewReader(
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a1__`+name+`","_meta":{"progressToken":"p"}}}`))
	if err != nil {
		return err.Error()
	}
	for h := range slices.Chunk(append([]string{"Content-Type", "application/json"}, l.headers...), 2) {
		req.Header.Set(h[0], h[1])
	}
	res, err := l.w.client.Do(req)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err.Error()
	}
	parts := dataOf(string(body))
	if res.Header.Get("Content-Type") == "application/json" {
		parts = []string{string(body)}
	}
	for _, part := range parts {
		if !json.Valid([]byte(part)) || !utf8.ValidString(part) {
			l.w.t.Errorf("%s: the client got %.300q", name, part)
		}
	}
	return string(body)
}
