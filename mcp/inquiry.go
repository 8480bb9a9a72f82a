package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	mcpgo "github.com/mark3labs/mcp-go/mcp"
	"go.uber.org/zap"

	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
)

// maxInquiries is how many requests of ours one legacy client may have
// unanswered.
const maxInquiries = 64

// inquiries are the requests of ours that one legacy client has not answered
// yet. Only answers of the same session come here.
type inquiries struct {
	mu   sync.Mutex
	open map[string]chan *message // by id as sent; each takes one answer
	over bool                     // nobody is there to answer
}

// begin makes an id that no one can guess, and that an answer to another
// session's request never has: a client may begin again at a server that knows
// nothing of what the last one asked.
//
// The id begins with the name of the session as it is here, so that an answer which
// reaches another server is known for what it is.
func (q *inquiries) begin(session string) (id json.RawMessage, answer <-chan *message, failed *upstream.Error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.over:
		return nil, nil, errClientGone
	case len(q.open) >= maxInquiries:
		return nil, nil, &upstream.Error{Code: mcpgo.INTERNAL_ERROR, Message: fmt.Sprintf("the client has %d requests to answer, as many as it may", maxInquiries)}
	case q.open == nil:
		q.open = map[string]chan *message{}
	}
	id = rawjson.Quote(session + "." + newReference())
	c := make(chan *message, 1)
	q.open[string(id)] = c
	return id, c, nil
}

func (q *inquiries) drop(id json.RawMessage) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.open, string(id))
}

// answer takes the first answer to an open request; any other is for nobody.
func (q *inquiries) answer(m *message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if c := q.open[string(m.id)]; c != nil {
		delete(q.open, string(m.id))
		c <- m
	}
}

// end says that no answer will come any more.
func (q *inquiries) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.over = true
	for _, c := range q.open {
		close(c)
	}
	q.open = nil
}

var (
	errClientGone = &upstream.Error{Code: mcpgo.INTERNAL_ERROR, Message: "the client can't be reached any more"}
	// errLargeQuestion refuses what is larger than a client's own message may be.
	errLargeQuestion = &upstream.Error{Code: mcpgo.INVALID_PARAMS, Message: "the request is larger than may be passed on to a client"}

	errCallOver = &upstream.Error{Code: mcpgo.INTERNAL_ERROR, Message: "the call that this request belongs to is over"}
)

// inquire asks a legacy client on the stream of one of its calls, and waits for
// the answer: a person may have to think. When ctx ends, or none came within
// Config.QuestionLimit (it may have gone to another server), the client is told
// that its answer is no longer wanted.
func (g *Gateway) inquire(ctx context.Context, r *request, method string, params json.RawMessage) (json.RawMessage, *upstream.Error) {
	if int64(len(params)) > g.cfg.MaxBody {
		return nil, errLargeQuestion
	}
	id, answer, failed := r.session.inquiries.begin(r.session.name)
	if failed != nil {
		return nil, failed
	}
	defer r.session.inquiries.drop(id)
	if r.sink.send(inquiryMessage(id, method, params)) != nil {
		return nil, errClientGone
	}
	withdraw := func() {
		_ = r.sink.send(notification(string(mcpgo.MethodNotificationCancelled), rawjson.Prepend([]byte(`{}`), "requestId", id)))
	}
	late := time.NewTimer(g.cfg.QuestionLimit)
	defer late.Stop()
	alive := time.NewTicker(keepAliveEvery)
	defer alive.Stop()
	for {
		select {
		case m, ok := <-answer:
			if !ok {
				return nil, errClientGone
			}
			return m.outcome()
		case <-ctx.Done():
			withdraw()
			return nil, errCallOver
		case <-late.C:
			withdraw()
			return nil, &upstream.Error{Code: mcpgo.INTERNAL_ERROR, Message: "the client has not answered within " + g.cfg.QuestionLimit.String()}
		case <-alive.C:
			g.sessions.touch(r.session)
			if r.sink.keepAlive() != nil {
				return nil, errClientGone
			}
		}
	}
}

// inquiryMessage is a JSON-RPC request of ours with raw params; nil = none.
func inquiryMessage(id json.RawMessage, method string, params json.RawMessage) []byte {
	b := append([]byte(`{"jsonrpc":"2.0","id":`), id...)
	b = append(append(b, `,"method":`...), rawjson.Quote(method)...)
	if params != nil {
		b = append(append(b, `,"params":`...), params...)
	}
	return append(b, '}')
}

// outcome is the result or the error of a response.
func (m *message) outcome() (json.RawMessage, *upstream.Error) {
	if m.failure == nil {
		return m.result, nil
	}
	e := &upstream.Error{Message: rawjson.Text(rawjson.Field(m.failure, "message")), Data: rawjson.Field(m.failure, "data")}
	code, err := strconv.Atoi(string(rawjson.Field(m.failure, "code")))
	if err != nil {
		return nil, &upstream.Error{Code: mcpgo.INTERNAL_ERROR, Message: "the client's answer is not valid JSON-RPC"}
	}
	e.Code = code
	return nil, e
}

// answered takes a client's answer to a request of ours, if its key still may
// speak MCP.
func (g *Gateway) answered(ctx context.Context, r *request) reply {
	if problem := g.renew(ctx, r); problem != nil {
		return problemReply(*problem)
	}
	if d := r.principal.Grant().DecideKey(g.cfg.Now()); !d.Allowed() {
		if problem := keyProblem(r.principal, d); problem != nil {
			return problemReply(*problem)
		}
		return problemReply(wire.Unauthenticated())
	}
	s := r.session
	if !strings.HasPrefix(rawjson.Text(r.msg.id), s.name+".") {
		g.log.Warn("a client answers a question that its session was not asked here: behind a load balancer, keep a session at one server",
			zap.String("tenant", r.principal.TenantID()), zap.String("key", r.principal.ID()))
		return problemReply(wire.NewProblem(http.StatusBadRequest, "question_unknown",
			"this session was not asked that here: if another server of this address asked, make the call again"))
	}
	s.inquiries.answer(r.msg) // or it comes too late, which is no fault
	return accepted()
}
