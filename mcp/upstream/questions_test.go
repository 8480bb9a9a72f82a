package upstream_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
)

func TestWhatAClientIsAsked(t *testing.T) {
	const big = `{"message":"which?","n":9007199254740993,"_meta":{"k":1.50}}`
	for _, on := range askers {
		t.Run(on.name, func(t *testing.T) {
			t.Parallel()
			m := runAsker(t, on.config(t))
			var seen []string
			c := upstream.Call{Owner: "anna", Ask: func(ctx context.Context, method string, params json.RawMessage) (json.RawMessage, *upstream.Error) {
				seen = append(seen, method+" "+string(params))
				switch method {
				case "sampling/createMessage":
					return raw("{\"role\":\"assistant\",\n\"n\":9007199254740993}"), nil
				default:
					return nil, &upstream.Error{Code: -32050, Message: "the \"client\"\nsays no", Data: raw(`{"n":1.50}`)}
				}
			}}
			got := m.ask(c, `{"jsonrpc":"2.0","id":"q\u0031","method":"sampling/createMessage","params":`+strings.Replace(big, `"n"`, `"task":{"ttl":1},"n"`, 1)+`}`)[0]
			if string(got.ID) != `"q\u0031"` || string(got.Result) != `{"role":"assistant","n":9007199254740993}` {
				t.Errorf("the upstream got %s %s", got.ID, got.Result)
			}
			got = m.ask(c, `{"jsonrpc":"2.0","id":0,"method":"elicitation/create","params":`+big+`}`)[0]
			if got.Error == nil || got.Error.Code != -32050 || got.Error.Message != "the \"client\"\nsays no" || string(got.Error.Data) != `{"n":1.50}` {
				t.Errorf("the upstream got %+v", got)
			}
			if want := []string{"sampling/createMessage " + big, "elicitation/create " + big}; fmt.Sprint(seen) != fmt.Sprint(want) {
				t.Errorf("asked %s, want %s", seen, want)
			}
		})
	}
}

func TestQuestionsThatAreRefused(t *testing.T) {
	m := runAsker(t, stdio(t, "asker"))
	c := upstream.Call{Owner: "anna", Ask: answers("anna")}
	for _, tt := range []struct {
		line, want string
		code       int
		id         string
	}{
		{`{"jsonrpc":"2.0","id":1,"method":"ping"}`, `{}`, 0, "1"},
		{`{"jsonrpc":"2.0","id":1,"method":"roots/list"}`, "roots are not declared", -32601, "1"},
		{`{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{}}`, "Method not found", -32601, "1"},
		{`{"jsonrpc":"2.0","id":1,"method":"elicitation/create"}`, "params must be an object", -32602, "1"},
		{`{"jsonrpc":"2.0","id":1,"method":"elicitation/create","params":[]}`, "params must be an object", -32602, "1"},
		{`{"jsonrpc":"2.0","id":1,"method":"elicitation/create","params":{},"params":{}}`, "each member once", -32600, "1"},
		{elicit(`{"a":1}`), "an id that is a string or an integer", -32600, "null"},
		{elicit(`1.5`), "an id that is a string or an integer", -32600, "null"},
		{elicit(`true`), "an id that is a string or an integer", -32600, "null"},
		{elicit(`"` + strings.Repeat("x", 300) + `"`), "an id that is a string or an integer", -32600, "null"},
		{elicit(`-7`), `{"by":"anna"}`, 0, "-7"},
		{elicit(`""`), `{"by":"anna"}`, 0, `""`},
	} {
		got := m.ask(c, tt.line)[0]
		id := string(got.ID)
		if id == "" {
			id = "null"
		}
		if !strings.Contains(got.String(), tt.want) || id != tt.id || got.Error != nil && got.Error.Code != tt.code || got.Error == nil && tt.code != 0 {
			t.Errorf("%s: the upstream got %s %s %+v, want %s", tt.line, id, got, got.Error, tt.want)
		}
	}
	for _, bad := range []string{"", "[]", "7", `{"a":`, `{"a":1}{}`} {
		c.Ask = func(context.Context, string, json.RawMessage) (json.RawMessage, *upstream.Error) {
			return raw(bad), nil
		}
		if got := m.ask(c, elicit("1"))[0]; got.Error == nil || got.Error.Code != -32603 {
			t.Errorf("an answer %q went out as %s", bad, got)
		}
	}
}

// Without the Config's word, nothing is declared and nothing answered.
func TestNothingIsDeclared(t *testing.T) {
	for asks, want := range map[bool]string{
		true:  `"capabilities":{"sampling":{"tools":{}},"elicitation":{"form":{},"url":{}}},`,
		false: `"capabilities":{},`,
	} {
		path, wait := notes(t)
		cfg := stdio(t, "asker", "UPSTREAM_TEST_NOTES", path)
		cfg.Asks = asks
		m := run(t, cfg).ready()
		if line := wait("initialize "); !strings.Contains(line, want) {
			t.Errorf("asks %v: %s", asks, line)
		}
		got := m.ask(upstream.Call{Owner: "anna", Ask: answers("anna")}, elicit("1"))[0]
		if refused := got.Error != nil && got.Error.Code == -32601; refused == asks {
			t.Errorf("asks %v: the upstream got %s", asks, got)
		}
	}
}

// Several questions may be open, so many of a call, and not two of one id.
func TestManyQuestions(t *testing.T) {
	for _, on := range askers {
		t.Run(on.name, func(t *testing.T) {
			t.Parallel()
			m := runAsker(t, on.config(t))
			var open atomic.Int32
			c := upstream.Call{Owner: "anna", Ask: func(ctx context.Context, _ string, _ json.RawMessage) (json.RawMessage, *upstream.Error) {
				open.Add(1)
				<-ctx.Done()
				return nil, nil
			}}
			var lines []string
			for i := range 16 {
				lines = append(lines, elicit(fmt.Sprint(i)))
			}
			lines = append(lines, elicit(`3`), elicit(`"3"`), elicit(`17`))
			count := map[string]int{}
			for _, a := range m.askFor(3, c, lines...) {
				count[a.String()]++
			}
			if open.Load() != 16 || count["Invalid Request: another request with this id is open"] != 1 ||
				count["too many requests are open: 16 during one call"] != 2 {
				t.Errorf("%d were open, the upstream got %v", open.Load(), count)
			}
		})
	}
}

func TestQuestionsOfAConnectionAreBounded(t *testing.T) {
	m := runAsker(t, stdio(t, "asker"))
	var open atomic.Int32
	c := upstream.Call{Tool: "ask", Owner: "anna", Ask: func(ctx context.Context, _ string, _ json.RawMessage) (json.RawMessage, *upstream.Error) {
		open.Add(1)
		<-ctx.Done()
		return nil, nil
	}}
	lines := func(call int) (out []string) {
		for i := range 16 {
			out = append(out, elicit(fmt.Sprintf(`"%d-%d"`, call, i)))
		}
		return out
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	var wg sync.WaitGroup
	for n := range 62 {
		c := c
		c.Arguments = raw(`{"lines":[` + strings.Join(lines(n), ",") + `]}`)
		wg.Go(func() { _, _ = m.Call(ctx, c) })
	}
	for open.Load() < 62*16 && ctx.Err() == nil {
		<-m.wakeSoon()
	}
	for _, a := range m.askFor(8, c, lines(62)...) {
		if a.String() != "too many requests are open: 1000 on one connection" {
			t.Errorf("the upstream got %s", a)
		}
	}
	cancel()
	wg.Wait()
	if open.Load() != 1000 {
		t.Errorf("%d were open", open.Load())
	}
}

// A question ends with its call, and when the upstream takes it back.
func TestQuestionsEnd(t *testing.T) {
	for _, on := range askers {
		t.Run(on.name, func(t *testing.T) {
			t.Parallel()
			m := runAsker(t, on.config(t))
			ended, first := 0, make(chan struct{})
			c := upstream.Call{Owner: "anna", Ask: func(ctx context.Context, _ string, params json.RawMessage) (json.RawMessage, *upstream.Error) {
				if !strings.Contains(string(params), "which") {
					select {
					case <-first: // the other one, which was taken back
					case <-ctx.Done():
						t.Error("it was not taken back")
					}
					return raw(`{}`), nil
				}
				<-ctx.Done()
				if ended++; ended == 1 {
					close(first)
				}
				return raw(`{}`), nil
			}}
			cancelled := `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%s}}`
			got := m.askFor(1, c, elicit(`"a"`), fmt.Sprintf(cancelled, `7`), fmt.Sprintf(cancelled, `"\u0061"`),
				`{"jsonrpc":"2.0","id":"b","method":"elicitation/create","params":{}}`)
			if ended != 1 || string(got[0].ID) != `"b"` {
				t.Errorf("%d ended; the upstream got %s", ended, got[0].ID)
			}
			// It answers the call without waiting for the client.
			m.askFor(1, c, elicit(`"c"`), `{"jsonrpc":"2.0","id":"d","method":"ping"}`)
			if ended != 2 {
				t.Errorf("%d ended with the call", ended)
			}
			ctx, cancel := context.WithCancel(context.Background())
			begun := make(chan struct{})
			go func() { <-begun; cancel() }()
			c.Tool, c.Arguments = "ask", raw(`{"lines":[`+elicit(`"e"`)+`]}`)
			c.Ask = func(ctx context.Context, _ string, _ json.RawMessage) (json.RawMessage, *upstream.Error) {
				close(begun)
				<-ctx.Done()
				ended++
				return nil, &upstream.Error{Code: 1, Message: "the client left"}
			}
			if _, err := m.Call(ctx, c); err == nil || ended != 3 {
				t.Errorf("%d ended with the client; %v", ended, err)
			}
		})
	}
}

// A call that is given up is so before its question has an answer: an upstream
// could take that for a refusal, and go on.
func TestGivenUpBeforeTheAnswer(t *testing.T) {
	path, wait := notes(t)
	m := runAsker(t, stdio(t, "asker", "UPSTREAM_TEST_NOTES", path))
	for i := range 20 {
		ctx, cancel := context.WithCancel(context.Background())
		id := fmt.Sprintf(`"q%d"`, i)
		_, _ = m.Call(ctx, upstream.Call{Owner: "anna", Tool: "ask", Arguments: raw(`{"lines":[` + elicit(id) + `]}`),
			Ask: func(context.Context, string, json.RawMessage) (json.RawMessage, *upstream.Error) {
				cancel()
				return nil, &upstream.Error{Code: 1, Message: "the call is over"}
			}})
		wait("answer " + id)
	}
	said, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	disorder := 0
	for i, line := range slices.DeleteFunc(strings.Split(string(said), "\n"), func(line string) bool {
		return line != "cancelled" && !strings.HasPrefix(line, "answer ")
	}) {
		if (line == "cancelled") != (i%2 == 0) {
			disorder++
		}
	}
	if disorder > 0 || !strings.Contains(string(said), "answer") {
		t.Errorf("%d out of order: %s", disorder, said)
	}
}
