package upstream

import (
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"

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
	cfg     *Config
	self    json.RawMessage // clientInfo
	ids     atomic.Int64
	version string
	modern  bool
	server  string
	offers  capabilities
	// changes has one element when a list must be read again; dirty says which.
	changes chan struct{}
	dirty   atomic.Uint32
	lists   [kinds]*listing // as read last; only Run uses it
	// mirrored are the tools with parameters that travel as headers, too.
	mirrored atomic.Pointer[map[string]*mcpgo.Tool]
	callers  callers
	asks     atomic.Bool // the upstream may ask: capabilities were declared to it
	notices  inbox       // for Config.OnNotification
	streams  listens
	cancel   context.CancelFunc
	wg       sync.WaitGroup
}

func newSession(cfg *Config) *session {
	version := cfg.Version
	if version == "" {
		version = "dev"
	}
	self, _ := json.Marshal(map[string]string{"name": "bailiwick", "version": version})
	return &session{cfg: cfg, self: self, changes: make(chan struct{}, 1),
		notices: inbox{wants: cfg.OnNotification != nil, wake: make(chan struct{}, 1)}}
}

// changed notes that lists must be read again.
func (s *session) changed(which kindSet) {
	s.dirty.Or(uint32(which))
	select {
	case s.changes <- struct{}{}:
	default:
	}
}

// ask sends a request of our own; params is the inside of the params object.
func (s *session) ask(ctx context.Context, method mcpgo.MCPMethod, params string) (frame, error) {
	return s.link.exchange(ctx, s.request(method, params))
}

// request is a request of our own.
func (s *session) request(method mcpgo.MCPMethod, params string) *request {
	r := newRequest(s.ids.Add(1), string(method), len(params)+256, func(b []byte) []byte {
		b = append(append(b, '{'), params...)
		sep := byte(',')
		if params == "" {
			sep = 0
		}
		return append(s.appendMeta(b, sep, nil, 0), '}')
	})
	r.modern = s.modern
	return r
}

// noticed hands on a notification that belongs to no request, without the id of
// the subscription that brought it, which is of this connection.
func (s *session) noticed(f frame) {
	params, _ := rawjson.Edit(f.params, func(key string, value []byte) []byte {
		if key == "_meta" {
			return without(value, mcpgo.MetaKeySubscriptionID)
		}
		return value
	})
	s.notices.push(note{f.method, params})
}

// close ends the session; its link goes with it.
func (s *session) close() {
	if s.cancel != nil {
		s.cancel()
	}
	s.link.close()
	s.wg.Wait()
}
