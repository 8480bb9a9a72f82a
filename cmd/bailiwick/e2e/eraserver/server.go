package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
)

const (
	modernVersion = "2026-07-28"
	legacyVersion = "2025-11-25"
	tasks         = "io.modelcontextprotocol/tasks"
	listenID      = "io.modelcontextprotocol/subscriptionId"
)

// server is one MCP server. Everything that connects to it shares its state.
type server struct {
	modern, bare bool

	mu        sync.Mutex
	added     map[string]int // by kind: what tool change has added to its lists
	listeners map[*listener]bool
	running   map[string]context.CancelFunc // by connection and id
	asked     map[string]chan message       // questions of its own
	questions int
	tasks     map[string]*task
	log       // what it was told
}

// log is what the tool seen tells.
type log struct {
	Cancelled  int            `json:"cancelled"`
	Withdrawn  int            `json:"withdrawn"` // questions whose call was given up
	Level      string         `json:"level"`
	Subscribed map[string]int `json:"subscribed"`
}

// listener gets what the server says unasked.
type listener struct {
	id   json.RawMessage // of the subscriptions/listen request; nil = legacy
	uris []string
	say  func(raw string)
}

func newServer(modern, bare bool) *server {
	return &server{modern: modern, bare: bare, added: map[string]int{}, listeners: map[*listener]bool{},
		running: map[string]context.CancelFunc{}, asked: map[string]chan message{}, tasks: map[string]*task{},
		log: log{Subscribed: map[string]int{}}}
}

type (
	message struct {
		ID     json.RawMessage `json:"id"`
		Method string          `json:"method"`
		Params params          `json:"params"`
		Result json.RawMessage `json:"result"`
		Error  json.RawMessage `json:"error"`
	}
	params struct {
		Name           string                     `json:"name"`
		URI            string                     `json:"uri"`
		TaskID         string                     `json:"taskId"`
		Level          string                     `json:"level"`
		RequestID      json.RawMessage            `json:"requestId"`
		Task           json.RawMessage            `json:"task"`
		Arguments      json.RawMessage            `json:"arguments"`
		InputResponses map[string]json.RawMessage `json:"inputResponses"`
		RequestState   string                     `json:"requestState"`
		Ref            struct {
			Name string `json:"name"`
			URI  string `json:"uri"`
		} `json:"ref"`
		Argument      json.RawMessage `json:"argument"`
		Notifications struct {
			URIs []string `json:"resourceSubscriptions"`
		} `json:"notifications"`
		Meta struct {
			Version       string          `json:"io.modelcontextprotocol/protocolVersion"`
			Level         string          `json:"io.modelcontextprotocol/logLevel"`
			Own           json.RawMessage `json:"example.com/own"`
			ProgressToken json.RawMessage `json:"progressToken"`
			Capabilities  struct {
				Extensions map[string]json.RawMessage `json:"extensions"`
			} `json:"io.modelcontextprotocol/clientCapabilities"`
		} `json:"_meta"`
	}
	// call is a request that runs. say sends a message beside it, on its own
	// stream where there is one.
	call struct {
		message
		ctx context.Context
		say func(raw string)
	}
)

// text is an argument of a tool.
func (c *call) text(name string) string {
	var arguments map[string]json.RawMessage
	_ = json.Unmarshal(c.Params.Arguments, &arguments)
	var text string
	_ = json.Unmarshal(arguments[name], &text)
	return text
}

func (c *call) notify(method, format string, args ...any) {
	c.say(notification(method, format, args...))
}

func notification(method, format string, args ...any) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","method":%q,"params":{%s}}`, method, fmt.Sprintf(format, args...))
}

// take handles one message of a connection, and answers it when it is a request;
// "" = nothing is answered.
func (s *server) take(ctx context.Context, connection string, m message, say func(raw string)) string {
	switch {
	case m.Method == "":
		s.answered(m)
		return ""
	case m.Method == "notifications/cancelled":
		s.cancel(connection + string(m.Params.RequestID))
		return ""
	case len(m.ID) == 0:
		return ""
	}
	ctx, done := context.WithCancel(ctx)
	defer done()
	key := connection + string(m.ID)
	s.mu.Lock()
	s.running[key] = done
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.running, key)
		s.mu.Unlock()
	}()
	answer := s.answer(&call{message: m, ctx: ctx, say: say})
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,%s}`, m.ID, answer)
}

func (s *server) cancel(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if done := s.running[key]; done != nil {
		done()
	}
}

func (s *server) answered(m message) {
	s.mu.Lock()
	waits := s.asked[string(m.ID)]
	delete(s.asked, string(m.ID))
	s.mu.Unlock()
	if waits != nil {
		waits <- m
	}
}

// listen adds a listener until ctx ends. ready says that it is there, before
// anything else is said.
func (s *server) listen(ctx context.Context, l *listener, ready func()) {
	s.mu.Lock()
	s.listeners[l] = true
	for _, uri := range l.uris {
		s.Subscribed[uri]++
	}
	ready()
	s.mu.Unlock()
	<-ctx.Done()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
	for _, uri := range l.uris {
		if s.Subscribed[uri]--; s.Subscribed[uri] == 0 {
			delete(s.Subscribed, uri)
		}
	}
}

// announce tells every listener, or those that subscribed to the uri.
func (s *server) announce(method, uri string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range s.listeners {
		var members []string
		if uri != "" {
			if l.id != nil && !slices.Contains(l.uris, uri) || l.id == nil && s.Subscribed[uri] == 0 {
				continue
			}
			members = append(members, fmt.Sprintf(`"uri":%q`, uri))
		}
		if l.id != nil {
			members = append(members, fmt.Sprintf(`"_meta":{%q:%s}`, listenID, l.id))
		}
		l.say(notification(method, "%s", joined(members)))
	}
}
