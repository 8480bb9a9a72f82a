package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	mcpgo "github.com/mark3labs/mcp-go/mcp"

	"github.com/bailiwick-mcp/bailiwick/mcp/rawjson"
)

// link is one live connection of one transport. All methods may be called
// concurrently.
type link interface {
	// exchange sends a request and returns its answer. When ctx ends, the
	// upstream is told.
	exchange(ctx context.Context, r *request) (frame, error)
	// notify sends a notification or an answer; it does not block and tells
	// nothing about success.
	notify(message []byte)
	// speak says which protocol version was agreed on.
	speak(version string)
	// stream follows the announcements that no request asks for, until ctx
	// ends; it calls opened each time they begin to flow, and returns at once
	// when they come by themselves or never.
	stream(ctx context.Context, opened func())
	// lost is closed when the connection is of no use any more; cause is why.
	lost() <-chan struct{}
	cause() error
	// close ends the connection and waits for what belongs to it.
	close()
}

// session is a link and the protocol that is spoken on it.
type session struct {
	link    link
	self    json.RawMessage // clientInfo
	ids     atomic.Int64
	version string
	modern  bool
	server  string
	// announces says that the upstream tells when its list changes.
	announces bool
	// changes has one element when the list must be read again.
	changes chan struct{}
	// mirrored are the tools with parameters that travel as headers, too.
	mirrored atomic.Pointer[map[string]*mcpgo.Tool]
	skipped  []string // only Run uses it
	cancel   context.CancelFunc
	wg       sync.WaitGroup
}

func newSession(cfg *Config) *session {
	version := cfg.Version
	if version == "" {
		version = "dev"
	}
	self, _ := json.Marshal(map[string]string{"name": "bailiwick", "version": version})
	return &session{self: self, changes: make(chan struct{}, 1)}
}

// changed notes that the list must be read again.
func (s *session) changed() {
	select {
	case s.changes <- struct{}{}:
	default:
	}
}

// call relays one tools/call.
func (s *session) call(ctx context.Context, c *Call) (Reply, error) {
	if c.Arguments != nil && !rawjson.ValidObject(c.Arguments) {
		return Reply{}, errors.New("arguments are not a JSON object")
	}
	name, err := json.Marshal(c.Tool)
	if err != nil {
		return Reply{}, err
	}
	id := s.ids.Add(1)
	size := len(name) + len(c.Arguments) + len(c.Meta) + 256
	r := newRequest(id, string(mcpgo.MethodToolsCall), size, func(b []byte) []byte {
		b = append(append(b, `{"name":`...), name...)
		if c.Arguments != nil {
			b = append(append(b, `,"arguments":`...), c.Arguments...)
		}
		return append(s.appendMeta(b, ',', c, id), '}')
	})
	r.modern, r.name, r.own = s.modern, c.Tool, c.Log != nil
	if c.Progress != nil || c.Log != nil {
		r.notes = c.deliver
	}
	if tools := s.mirrored.Load(); s.modern && tools != nil && (*tools)[c.Tool] != nil {
		r.headers = mcpgo.GenerateParamHeaders((*tools)[c.Tool], r.params)
	}
	f, err := s.link.exchange(ctx, r)
	switch {
	case err != nil:
		return Reply{}, err
	case f.err != nil:
		if f.err.Code == mcpgo.HEADER_MISMATCH {
			s.changed() // the schema that says which headers to send is old
		}
		return Reply{Error: f.err}, nil
	}
	return complete(&f, s.modern), nil
}

// deliver hands a notification to the caller.
func (c *Call) deliver(n note) {
	switch {
	case n.method == "notifications/progress" && c.Progress != nil:
		c.Progress(n.params)
	case n.method == "notifications/message" && c.Log != nil:
		c.Log(n.params)
	}
}

// appendMeta appends the _meta member behind the separator sep (0 = none),
// when there is anything in it: the client's own members, our progress token,
// and in the modern era what every request must carry.
func (s *session) appendMeta(b []byte, sep byte, c *Call, id int64) []byte {
	start := len(b)
	if sep != 0 {
		b = append(b, sep)
	}
	b = append(b, `"_meta":{`...)
	empty := len(b)
	add := func(key string, value []byte) {
		if len(b) > empty {
			b = append(b, ',')
		}
		name, _ := json.Marshal(key)
		b = append(append(append(b, name...), ':'), value...)
	}
	if c != nil && c.Meta != nil {
		mark := len(b)
		err := rawjson.Members(c.Meta, func(key string, value []byte) error {
			if !dropMeta(key) {
				add(key, value)
			}
			return nil
		})
		if err != nil {
			b = b[:mark] // not an object: nothing of it can be passed on
		}
	}
	if c != nil && c.Progress != nil {
		add("progressToken", fmt.Append(nil, id))
	}
	if s.modern {
		add(mcpgo.MetaKeyProtocolVersion, []byte(`"`+mcpgo.ProtocolVersion20260728+`"`))
		add(mcpgo.MetaKeyClientCapabilities, []byte(`{}`))
		add(mcpgo.MetaKeyClientInfo, s.self)
		if c != nil && c.Log != nil {
			level, _ := json.Marshal(c.level())
			add(mcpgo.MetaKeyLogLevel, level)
		}
	}
	if len(b) == empty {
		return b[:start]
	}
	return append(b, '}')
}

func (c *Call) level() string {
	if c.LogLevel == "" {
		return string(mcpgo.LoggingLevelInfo)
	}
	return c.LogLevel
}

// ask sends a request of our own; params is the inside of the params object.
func (s *session) ask(ctx context.Context, method mcpgo.MCPMethod, params string) (frame, error) {
	r := newRequest(s.ids.Add(1), string(method), len(params)+256, func(b []byte) []byte {
		b = append(append(b, '{'), params...)
		sep := byte(',')
		if params == "" {
			sep = 0
		}
		return append(s.appendMeta(b, sep, nil, 0), '}')
	})
	r.modern = s.modern
	return s.link.exchange(ctx, r)
}

// follow begins to listen for announcements, and waits a moment until they
// flow, so that no change falls between reading the list and listening.
func (s *session) follow(ctx context.Context) {
	ctx, s.cancel = context.WithCancel(ctx)
	if !s.announces {
		return
	}
	settled := make(chan struct{})
	s.wg.Go(func() {
		defer close(settled)
		if s.modern {
			s.subscribe(ctx)
			return
		}
		s.link.stream(ctx, s.changed)
	})
	select {
	case <-settled:
	case <-s.changes:
	case <-s.link.lost():
	case <-time.After(settleTime):
	}
}

// settleTime is how long reading the list waits for the announcements.
const settleTime = time.Second

// subscribe keeps a subscriptions/listen request open. Its acknowledgement
// counts as a change: what happened before it was not announced.
func (s *session) subscribe(ctx context.Context) {
	var wait backoff
	for ctx.Err() == nil {
		begun := time.Now()
		f, err := s.ask(ctx, mcpgo.MethodSubscriptionsListen, `"notifications":{"toolsListChanged":true}`)
		if err == nil && f.err != nil && f.err.Code == mcpgo.METHOD_NOT_FOUND {
			return
		}
		if !wait.sleep(ctx, time.Since(begun), s.link.lost()) {
			return
		}
	}
}

// close ends the session; its link goes with it.
func (s *session) close() {
	if s.cancel != nil {
		s.cancel()
	}
	s.link.close()
	s.wg.Wait()
}
