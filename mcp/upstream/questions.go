package upstream

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
)

const (
	maxQuestions     = 16   // open at once, of one call
	maxAllQuestions  = 1000 // and of a connection
	maxQuestionID    = 256  // bytes of the upstream's id
	relatedTask      = mcpgo.RelatedTaskMetaKey
	errCodeQuestions = mcpgo.INTERNAL_ERROR
)

// declared are the capabilities of the clients behind a connection of the legacy
// era, told before any of them is there. What passes through unchanged is
// declared: a client that can't do it answers so itself, or Ask does. Not among
// them:
//   - roots: one client's roots would change what a shared server opens for all.
//   - sampling.context: "this server" is the gateway to the client, so the context
//     of all its other upstreams would come with it.
//   - tasks: a request of the upstream is answered while its call runs, or never.
const declared = `{"sampling":{"tools":{}},"elicitation":{"form":{},"url":{}}}`

// question is one request of the upstream, until it is answered.
type question struct {
	caller    *caller
	ctx       context.Context
	cancel    context.CancelFunc
	withdrawn bool // by the upstream, which wants no answer then
}

var (
	errUnknownMethod = &Error{Code: mcpgo.METHOD_NOT_FOUND, Message: "Method not found"}
	errRoots         = &Error{Code: mcpgo.METHOD_NOT_FOUND, Message: "Method not found: roots are not declared; several clients share this connection"}
	errMute          = &Error{Code: mcpgo.METHOD_NOT_FOUND, Message: "Method not found: the client of this call can't be asked"}
	errNoCall        = &Error{Code: mcpgo.INVALID_REQUEST, Message: "Invalid Request: no call runs that this request belongs to"}
	errNoTask        = &Error{Code: mcpgo.INVALID_REQUEST, Message: "Invalid Request: no call runs that waits for the related task"}
	errWhose         = &Error{Code: mcpgo.INVALID_REQUEST, Message: "Invalid Request: calls of several clients share this connection, and nothing says to which this request belongs; " +
		"over streamable HTTP, send it on the stream of its call"}
	errSameID     = &Error{Code: mcpgo.INVALID_REQUEST, Message: "Invalid Request: another request with this id is open"}
	errMalformed  = &Error{Code: mcpgo.INVALID_REQUEST, Message: "Invalid Request: each member once, and an id that is a string or an integer"}
	errParams     = &Error{Code: mcpgo.INVALID_PARAMS, Message: "Invalid params: params must be an object"}
	errManyOfCall = &Error{Code: errCodeQuestions, Message: "too many requests are open: " + strconv.Itoa(maxQuestions) + " during one call"}
	errMany       = &Error{Code: errCodeQuestions, Message: "too many requests are open: " + strconv.Itoa(maxAllQuestions) + " on one connection"}
	errBadAnswer  = &Error{Code: mcpgo.INTERNAL_ERROR, Message: "the client's answer is not an object"}
	errCallOver   = &Error{Code: mcpgo.INTERNAL_ERROR, Message: "the call that this request belongs to is over"}
)

// asked takes a request of the upstream. on is the request on whose own stream it
// came; 0 = a stream of the whole connection. reply must not block.
func (s *session) asked(f frame, on int64, reply func(message []byte)) {
	key, ok := questionID(f.id)
	switch {
	case f.method == string(mcpgo.MethodPing):
		reply(answerOf(f.id, json.RawMessage(`{}`), nil))
	case !ok:
		reply(answerOf(json.RawMessage("null"), nil, errMalformed))
	case f.broken != nil:
		reply(answerOf(f.id, nil, errMalformed))
	case f.method == string(mcpgo.MethodListRoots) && s.asks.Load():
		reply(answerOf(f.id, nil, errRoots))
	case !s.asks.Load() || f.method != string(mcpgo.MethodSamplingCreateMessage) && f.method != string(mcpgo.MethodElicitationCreate):
		reply(answerOf(f.id, nil, errUnknownMethod))
	case !rawjson.IsObject(f.params):
		reply(answerOf(f.id, nil, errParams))
	default:
		q, refused := s.callers.take(key, f.params, on)
		if refused != nil {
			reply(answerOf(f.id, nil, refused))
			return
		}
		go s.callers.answer(q, key, f, reply)
	}
}

// take finds the call that a request of the upstream belongs to, and opens it.
func (c *callers) take(key string, params json.RawMessage, on int64) (*question, *Error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id, refused := c.addressee(params, on)
	if refused != nil {
		return nil, refused
	}
	one := c.running[id]
	switch {
	case one == nil:
		return nil, errNoCall
	case one.Ask == nil:
		return nil, errMute
	case c.open[key] != nil:
		return nil, errSameID
	case one.questions >= maxQuestions:
		return nil, errManyOfCall
	case len(c.open) >= maxAllQuestions:
		return nil, errMany
	}
	q := &question{caller: one}
	q.ctx, q.cancel = context.WithCancel(one.ctx)
	if c.open == nil {
		c.open = make(map[string]*question)
	}
	c.open[key] = q
	one.questions++
	one.work.Add(1)
	return q, nil
}

// addressee is the request that a question belongs to (see callers). A question
// of a task says so, and comes while its client waits for the task (MCP
// 2025-11-25, basic/utilities/tasks): it is for that call and no other. c.mu is held.
func (c *callers) addressee(params json.RawMessage, on int64) (int64, *Error) {
	if on != 0 {
		return on, nil
	}
	if related := rawjson.Field(rawjson.Field(params, "_meta"), relatedTask); related != nil {
		task := rawjson.Text(rawjson.Field(related, "taskId"))
		id := c.newest(func(one *caller) bool { return task != "" && one.task == task })
		if id == 0 {
			return 0, errNoTask
		}
		if other := c.newest(func(one *caller) bool { return one.task == task && one.Owner != c.running[id].Owner }); other != 0 {
			return 0, errWhose
		}
		return id, nil
	}
	switch {
	case len(c.running) == 0:
		return 0, errNoCall
	case c.owner() == "":
		return 0, errWhose
	}
	id := c.newest(func(one *caller) bool { return one.Ask != nil && one.questions < maxQuestions })
	if id == 0 { // it is for one that can't be asked, or has too many questions
		id = c.newest(func(one *caller) bool { return one.Ask != nil })
	}
	if id == 0 {
		return 0, errMute
	}
	return id, nil
}

// answer has the client answer, and tells the upstream.
func (c *callers) answer(q *question, key string, f frame, reply func([]byte)) {
	defer q.caller.work.Done()
	defer q.cancel()
	params, err := rawjson.Edit(f.params, func(key string, value []byte) []byte {
		if key == "task" {
			return nil
		}
		return value
	})
	var result json.RawMessage
	failed := errParams
	if err == nil {
		result, failed = q.caller.Ask(q.ctx, f.method, params)
	}
	if q.caller.ctx.Err() != nil {
		// The upstream is told first that its call was given up: else it takes this
		// for the client's refusal, and goes on with its work.
		<-q.caller.gone
	}
	switch {
	case failed != nil:
	case result == nil && q.ctx.Err() != nil:
		failed = errCallOver
	case !rawjson.ValidObject(result):
		failed = errBadAnswer
	}
	c.mu.Lock()
	delete(c.open, key)
	q.caller.questions--
	withdrawn := q.withdrawn
	c.mu.Unlock()
	if !withdrawn {
		reply(answerOf(f.id, result, failed))
	}
}

// withdraw takes a question back, as notifications/cancelled asks for.
func (c *callers) withdraw(params json.RawMessage) {
	key, ok := questionID(rawjson.Field(params, "requestId"))
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if q := c.open[key]; q != nil {
		q.withdrawn = true
		q.cancel()
	}
}

// questionID makes one key of all spellings of an id, which is a string or an
// integer (MCP, basic: "Requests MUST include a string or integer ID").
func questionID(id json.RawMessage) (key string, ok bool) {
	if len(id) == 0 || len(id) > maxQuestionID {
		return "", false
	}
	if id[0] == '"' {
		return `"` + rawjson.Text(id), true
	}
	digits := id
	if id[0] == '-' {
		digits = id[1:]
	}
	if slices.ContainsFunc(digits, func(c byte) bool { return c < '0' || c > '9' }) {
		return "", false
	}
	return string(id), true
}

// answerOf is an answer to a request of the upstream, in one line.
func answerOf(id, result json.RawMessage, failed *Error) []byte {
	b := make([]byte, 0, len(result)+256)
	b = append(append(b, `{"jsonrpc":"2.0","id":`...), id...)
	if failed == nil {
		b = append(append(b, `,"result":`...), result...)
	} else {
		b = strconv.AppendInt(append(b, `,"error":{"code":`...), int64(failed.Code), 10)
		b = append(append(b, `,"message":`...), rawjson.Quote(failed.Message)...)
		if rawjson.Valid(failed.Data) {
			b = append(append(b, `,"data":`...), failed.Data...)
		}
		b = append(b, '}')
	}
	b = append(b, '}')
	rawjson.Flatten(b)
	return b
}
