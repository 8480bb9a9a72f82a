package mcp

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"time"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// What external tests need of the inside.

// MaxDepth is how deep a message may nest.
const MaxDepth = maxDepth

// Envelope is what was read of a message.
type Envelope struct {
	ID, Params, Arguments, Meta, Progress, Ref, Task, Responses, State, Result, Failure json.RawMessage
	Method, Name, URI, TaskID, Version                                                  string
}

// ReadMessage reads one message as the edge does.
func ReadMessage(body []byte) (Envelope, error) {
	m, err := readMessage(body)
	if err != nil {
		return Envelope{}, err
	}
	return Envelope{ID: m.id, Params: m.params, Arguments: m.arguments, Meta: m.meta, Progress: m.progress,
		Ref: m.ref, Task: m.task, Responses: m.responses, State: m.state, Result: m.result, Failure: m.failure,
		Method: m.method, Name: m.name, URI: m.uri, TaskID: m.taskID, Version: m.version}, nil
}

// FitHeaders tells whether a modern message and its headers go together.
func FitHeaders(m *message, h http.Header) bool { return checkModern(m, h) == nil }

// Mirrored is the params that the headers of a message are held against.
func Mirrored(m *message) json.RawMessage { return m.mirrored() }

// MessageOf is what readMessage makes of a body.
func MessageOf(body []byte) (*message, error) { return readMessage(body) }

// Answer is the body of the answer to one message of a principal, without a
// transport.
func Answer(g *Gateway, p keys.Principal, m *message) []byte {
	r := &request{msg: m, era: eraLegacy, edits: g.edits.Load(), principal: p, tenant: g.tenantOf(p.TenantID()), narrowing: unnarrowed}
	if m.version != "" {
		r.era = eraModern
	}
	return g.dispatch(context.Background(), r).body
}

// ListenTo is what of some uris a subscriptions/listen is granted.
func ListenTo(ctx context.Context, g *Gateway, p keys.Principal, uris []string) []string {
	list, _ := json.Marshal(uris)
	r := &request{msg: &message{method: string(mcpgo.MethodSubscriptionsListen), params: json.RawMessage(`{"notifications":{"resourceSubscriptions":` + string(list) + `}}`)},
		era: eraModern, edits: g.edits.Load(), principal: p, tenant: g.tenantOf(p.TenantID()), narrowing: unnarrowed, subs: &subscriptions{}}
	defer g.subs.end(r.subs)
	return g.listenTo(ctx, r)
}

// RunningCalls are those that are not answered yet, held ones among them.
func RunningCalls(g *Gateway) int { return len(g.calls.all()) }

// Methods are the classified methods.
func Methods() []string {
	out := []string{}
	for name := range methods {
		out = append(out, name)
	}
	return out
}

// Sessions counts the legacy sessions that are open.
func Sessions(g *Gateway) int {
	g.sessions.mu.Lock()
	defer g.sessions.mu.Unlock()
	if len(g.sessions.byID) != g.sessions.all.Len() {
		panic("the table of sessions is not one")
	}
	return len(g.sessions.byID)
}

// OpenSessions opens n sessions past the handshake.
func OpenSessions(g *Gateway, p keys.Principal, n int) {
	for range n {
		g.sessions.add(newSession(p, narrowing{}, ""))
	}
}

// Classify answers a tool's category and effect.
var Classify = classify

// Expose, DigestOf, Complete work on raw JSON.
var (
	Expose   = expose
	DigestOf = digestOf

	Spellings = spellings
	Complete  = complete
)

// CompleteResult is the body that completeResult makes, and the one that
// complete and result make of the same.
func CompleteResult(id, raw, info []byte) (got, want string) {
	return string(completeResult(id, raw, info).body), string(result(id, complete(raw, info)).body)
}

// MayCall asks the gate for a tool as a request of the principal would.
func MayCall(g *Gateway, p keys.Principal, tenantID, name string) bool {
	r := &request{principal: p, tenant: g.tenantOf(tenantID), era: eraLegacy, msg: &message{method: "tools/call", name: name}}
	return decide(r.question(g)).allowed()
}

// AskEngine sends one request straight to mcp-go's server of a tenant, past
// the edge: with the principal's request in its context, or with none at all.
func AskEngine(g *Gateway, p *keys.Principal, tenantID, body string) string {
	t := g.tenantOf(tenantID)
	ctx := context.Background()
	if p != nil {
		r := &request{principal: *p, tenant: t, era: eraLegacy, msg: &message{method: "tools/call"}}
		ctx = t.server.WithContext(withRequest(ctx, r), newEngineSession(r))
	}
	raw, err := json.Marshal(t.server.HandleMessage(ctx, json.RawMessage(body)))
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

// MaxMatching is the most steps that one uri is held against templates.
const MaxMatching = maxMatching

// IsTemplate tells whether uris can be held against a text.
func IsTemplate(text string) bool { return parseTemplate(text) != nil }

// Fits holds one uri against one template.
func Fits(text, uri string) bool {
	work := maxMatching
	return parseTemplate(text).fits(uri, &work)
}

// FitsAny holds a uri against n templates of one text, none of which counts, and
// answers the steps.
func FitsAny(text string, n int, uri string) int {
	work, t := maxMatching, parseTemplate(text)
	for range n {
		t.fits(uri, &work)
	}
	return maxMatching - work
}

// RefTarget reads what a completion is for.
func RefTarget(ref json.RawMessage) (kind, name string) {
	t := refTarget(ref)
	return t.kind.String(), t.name
}

// SealState and OpenState work on the text of a parked call's state, under the
// key and for the request that these name.
func SealState(key []byte, request, text string, expires time.Time) string {
	s, err := newStateSealer(key)
	if err != nil {
		return err.Error()
	}
	return s.seal(sha256.Sum256([]byte(request)), requestState{kind: stateParked, text: text, expires: expires})
}

// OpenState is the reverse of SealState.
func OpenState(key []byte, request, sealed string, now time.Time) (text string, ok bool) {
	s, err := newStateSealer(key)
	if err != nil {
		return "", false
	}
	state, ok := s.open(sha256.Sum256([]byte(request)), sealed, now)
	return state.text, ok
}

// Admit does what a tools/call costs beside reading it and passing it on:
// checking who asks, deciding, and recording.
func Admit(g *Gateway, w http.ResponseWriter, hr *http.Request, m *message) bool {
	v, problem := g.enter(w, hr)
	if problem != nil {
		return false
	}
	r := &request{msg: m, era: eraLegacy, edits: v.edits, principal: v.principal, tenant: v.tenant, narrowing: v.narrowing}
	decided := decide(r.question(g))
	g.recordCall(hr.Context(), r, decided, outcomeOK, time.Millisecond)
	return decided.allowed()
}

// MaxUnwritten is how many bytes wait for a client of lines.
const MaxUnwritten = maxUnwritten

// LineSink is where messages go out as lines; end waits until all did.
func LineSink(ctx context.Context, w io.Writer) (send func(string) error, end func()) {
	s := newLineSink(w)
	end = s.endWith(ctx)
	return func(text string) error { return s.send([]byte(text)) }, end
}

// Parked is how many calls wait for their clients' next requests.
func Parked(g *Gateway) int {
	g.parked.mu.Lock()
	defer g.parked.mu.Unlock()
	return len(g.parked.byID)
}

// NarrowAgain answers whether the narrowing of a request, and what comes of its
// source, are the same, and the source.
func NarrowAgain(header http.Header, rawQuery, path string) (same bool, source string, err error) {
	n, err := narrowingOf(header, rawQuery, path)
	if err != nil {
		return false, "", err
	}
	again, err := narrowingFrom(n.source)
	return err == nil && reflect.DeepEqual(n.session, again.session) && reflect.DeepEqual(n.layers, again.layers) &&
		n.byHeader == again.byHeader && n.source == again.source, n.source, err
}

// NarrowFrom makes a narrowing of a source, and answers its own source.
func NarrowFrom(source string) (own string, err error) {
	n, err := narrowingFrom(source)
	return n.source, err
}

// SessionSays is what a session's id says.
type SessionSays struct {
	Issued            time.Time
	Bound             bool
	Can               byte
	Client, Narrowing string
}

// IssueSession and ReadSession make and read the id of a session of a principal,
// which these name, under the key.
func IssueSession(key []byte, tenantID, principalID string, says SessionSays) string {
	can, _ := abilitiesFrom(says.Can)
	return newSessionIDs(key).issue(owner{tenantID, principalID}, &sessionID{issued: says.Issued, bound: says.Bound,
		can: can, client: says.Client, narrowing: says.Narrowing})
}

// ReadSession is the reverse of IssueSession.
func ReadSession(key []byte, tenantID, principalID, id string) (SessionSays, bool) {
	said, ok := newSessionIDs(key).read(owner{tenantID, principalID}, id)
	return SessionSays{said.issued, said.bound, said.can.bits(), said.client, said.narrowing}, ok
}

// ReparseSession reads the content of an id and writes it again.
func ReparseSession(content []byte) (again []byte, ok bool) {
	said, ok := parseSessionID(content)
	if !ok {
		return nil, false
	}
	return said.append(nil), true
}

// MaxSessionID is the most characters of a session's id; MaxEnded is how many ended
// sessions are remembered.
const (
	MaxSessionID = maxSessionID
	MaxEnded     = maxEnded
)

// EndedSessions counts the ended sessions that are remembered.
func EndedSessions(g *Gateway) int {
	g.sessions.mu.Lock()
	defer g.sessions.mu.Unlock()
	if len(g.sessions.ended.known) != len(g.sessions.ended.order) {
		panic("the ended sessions are not one set")
	}
	return len(g.sessions.ended.known)
}

// TakeUp has n requests at once ask for a session, and counts the sessions that
// they got.
func TakeUp(g *Gateway, p keys.Principal, id string, n int) int {
	got := make(chan *session, n)
	start := make(chan struct{})
	for range n {
		go func() { <-start; got <- g.sessions.get(id, p) }()
	}
	close(start)
	all := map[*session]bool{}
	for range n {
		all[<-got] = true
	}
	return len(all)
}

// ShadowOfPanic is what is recorded where the decision by a draft breaks off.
func ShadowOfPanic() string {
	draft := policy.Compile(policy.Subject{})
	return question{}.shadow(verdict{}, draft, func(question, *policy.Grant) verdict { panic("broken") }).Decision
}
