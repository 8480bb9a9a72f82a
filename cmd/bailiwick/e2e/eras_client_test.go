package e2e_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// What a client of these tests can be asked, and answers.
var (
	canBeAsked  = object{"elicitation": object{"form": object{}}, "sampling": object{}, "roots": object{}}
	canRunTasks = object{"io.modelcontextprotocol/tasks": object{}}
	eraAnswers  = map[string]string{"elicitation/create": eraFormed, "sampling/createMessage": eraSampled, "roots/list": eraRooted}
)

const (
	eraFormed  = `{"action":"accept","content":{"n":12345678901234567890}}`
	eraSampled = `{"role":"assistant","content":{"type":"text","text":"Ho"},"model":"m","stopReason":"endTurn"}`
	eraRooted  = `{"roots":[{"uri":"file:///r","name":"r"}]}`

	metaPrefix = "io.modelcontextprotocol/"
)

// rpcMessage is one JSON-RPC message, its parts as they came.
type rpcMessage struct {
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

func (m rpcMessage) String() string {
	if m.Error != nil {
		return fmt.Sprintf("error %d %q data %s", m.Error.Code, m.Error.Message, m.Error.Data)
	}
	return fmt.Sprintf("%s%s%s", m.Method, m.Params, m.Result)
}

// member is a raw member of the result.
func (m rpcMessage) member(name string) string {
	var members map[string]json.RawMessage
	_ = json.Unmarshal(m.Result, &members)
	return string(members[name])
}

// refused is "" when the message is an error with this code, that says it.
func (m rpcMessage) refused(code int, says string) string {
	if m.Error == nil || m.Error.Code != code || !strings.Contains(m.Error.Message, says) {
		return fmt.Sprintf("%s; want error %d with %q", m, code, says)
	}
	return ""
}

// eraClient is an MCP client of one era over any transport. It keeps what it
// hears, and answers what it is asked.
type eraClient struct {
	modern bool
	can    object
	door   eraDoor
	silent atomic.Bool // it answers no question

	mu     sync.Mutex
	heard  []rpcMessage
	taken  map[int]bool // those that await has given out
	news   chan struct{}
	asked  []string // methods of the questions that it answered
	broken string
}

// eraDoor is the client's side of a transport. send returns when the message is
// sent; what comes back, whenever, goes to the client's hear.
type eraDoor interface {
	send(c *eraClient, m object) error
	// leave gives up a request, as the era and the transport have it.
	leave(c *eraClient, id int64) error
}

func newEraClient(modern bool, can object, door eraDoor) *eraClient {
	return &eraClient{modern: modern, can: can, door: door, taken: map[int]bool{}, news: make(chan struct{}, 1)}
}

// hear takes one message from the server.
func (c *eraClient) hear(raw []byte) {
	var m rpcMessage
	if err := json.Unmarshal(raw, &m); err != nil {
		c.fail(fmt.Sprintf("%v in %q", err, raw))
		return
	}
	if m.Method != "" && m.ID != nil {
		c.reply(m)
		return
	}
	c.mu.Lock()
	c.heard = append(c.heard, m)
	c.mu.Unlock()
	c.signal()
}

func (c *eraClient) signal() {
	select {
	case c.news <- struct{}{}:
	default:
	}
}

func (c *eraClient) fail(problem string) {
	c.mu.Lock()
	c.broken = problem
	c.mu.Unlock()
	c.signal()
}

// reply answers a question of the server's.
func (c *eraClient) reply(m rpcMessage) {
	answer := object{"jsonrpc": "2.0", "id": m.ID, "result": json.RawMessage(eraAnswers[m.Method])}
	if eraAnswers[m.Method] == "" {
		answer = object{"jsonrpc": "2.0", "id": m.ID, "error": object{"code": -32601, "message": "Method not found"}}
	}
	c.mu.Lock()
	c.asked = append(c.asked, m.Method)
	c.mu.Unlock()
	if c.silent.Load() {
		return
	}
	go func() {
		if err := c.door.send(c, answer); err != nil {
			c.fail(err.Error())
		}
	}()
}

// await waits for a message that was not given out yet. Only one may wait at a time.
func (c *eraClient) await(what string, is func(rpcMessage) bool) (rpcMessage, error) {
	late := time.After(patience / 3)
	for {
		c.mu.Lock()
		for i, m := range c.heard {
			if !c.taken[i] && is(m) {
				c.taken[i] = true
				c.mu.Unlock()
				return m, nil
			}
		}
		broken := c.broken
		c.mu.Unlock()
		if broken != "" {
			return rpcMessage{}, fmt.Errorf("%s never came: %s", what, broken)
		}
		select {
		case <-c.news:
		case <-late:
			return rpcMessage{}, fmt.Errorf("%s never came; heard %v", what, c.untaken())
		}
	}
}

// untaken is what was heard and asked for by nobody.
func (c *eraClient) untaken() (out []rpcMessage) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, m := range c.heard {
		if !c.taken[i] {
			out = append(out, m)
		}
	}
	return out
}

// forget drops what was heard until now.
func (c *eraClient) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.heard {
		c.taken[i] = true
	}
}

// told waits for a notification.
func (c *eraClient) told(method string) (rpcMessage, error) {
	return c.await(method, func(m rpcMessage) bool { return m.Method == method })
}

// begin sends a request. Its _meta may be in params.
func (c *eraClient) begin(method string, params object) (id int64, err error) {
	id = requestID.Add(1)
	full := object{}
	with(full, params)
	if c.modern {
		meta := object{metaPrefix + "protocolVersion": modernVersion, metaPrefix + "clientCapabilities": c.can,
			metaPrefix + "clientInfo": object{"name": "e2e-eras", "version": "1"}}
		if own, ok := params["_meta"].(object); ok {
			with(meta, own)
		}
		full["_meta"] = meta
	}
	return id, c.door.send(c, object{"jsonrpc": "2.0", "id": id, "method": method, "params": full})
}

// finish waits for the answer to a request.
func (c *eraClient) finish(id int64) (rpcMessage, error) {
	want := fmt.Sprint(id)
	return c.await("the answer to "+want, func(m rpcMessage) bool { return m.Method == "" && string(m.ID) == want })
}

// once makes a request and answers what came back.
func (c *eraClient) once(method string, params object) (rpcMessage, error) {
	id, err := c.begin(method, params)
	if err != nil {
		return rpcMessage{}, err
	}
	return c.finish(id)
}

// ask is once for a request that may be answered with questions: it answers them
// and asks again, until there is a result (2026-07-28, multi round-trip requests).
func (c *eraClient) ask(method string, params object) (rpcMessage, error) {
	again := with(object{}, params)
	for range 10 {
		m, err := c.once(method, again)
		if err != nil || m.member("resultType") != `"input_required"` {
			return m, err
		}
		var in struct {
			InputRequests map[string]rpcMessage
			RequestState  *string
		}
		if err := json.Unmarshal(m.Result, &in); err != nil {
			return m, err
		}
		again = with(object{}, params)
		responses := object{}
		for key, q := range in.InputRequests {
			responses[key] = json.RawMessage(eraAnswers[q.Method])
			c.mu.Lock()
			c.asked = append(c.asked, q.Method)
			c.mu.Unlock()
		}
		again["inputResponses"] = responses
		if in.RequestState != nil {
			again["requestState"] = *in.RequestState
		}
	}
	return rpcMessage{}, fmt.Errorf("no end of questions")
}

// questionsAsked are the methods of the questions since the last time.
func (c *eraClient) questionsAsked() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	asked := strings.Join(c.asked, " ")
	c.asked = nil
	return asked
}

// open shakes hands: initialize, or server/discover.
func (c *eraClient) open(t testing.TB, version string) {
	t.Helper()
	method, params := "server/discover", object{}
	if !c.modern {
		method, params = "initialize", object{"protocolVersion": version, "capabilities": c.can,
			"clientInfo": object{"name": "e2e-eras", "version": "1"}}
	}
	m, err := c.once(method, params)
	if err != nil || m.Error != nil {
		t.Fatalf("%s: %v %v", method, m, err)
	}
	if want := `"` + version + `"`; !c.modern && m.member("protocolVersion") != want || c.modern && !strings.Contains(m.member("supportedVersions"), want) {
		t.Fatalf("%s: %s", method, m)
	}
	if !c.modern {
		if err := c.door.send(c, object{"jsonrpc": "2.0", "method": "notifications/initialized"}); err != nil {
			t.Fatal(err)
		}
	}
}
