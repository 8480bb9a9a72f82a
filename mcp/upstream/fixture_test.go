package upstream_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/mcp/upstream"
)

// patience is how long a test waits for what must happen; nothing depends on
// how long it really takes.
const patience = 20 * time.Second

// mounted is an upstream that runs, and what it told.
type mounted struct {
	*upstream.Upstream
	t      *testing.T
	stop   func()
	mu     sync.Mutex
	lists  []upstream.Lists
	states []upstream.Status
	heard  []string // notifications: method and params
	wake   chan struct{}
}

// run starts an upstream that ends with the test.
func run(t *testing.T, cfg upstream.Config) *mounted {
	t.Helper()
	m := &mounted{t: t, wake: make(chan struct{})}
	if cfg.Name == "" {
		cfg.Name = "fixture"
	}
	cfg.OnLists = func(lists upstream.Lists) { m.tell(func() { m.lists = append(m.lists, lists) }) }
	cfg.OnStatus = func(st upstream.Status) { m.tell(func() { m.states = append(m.states, st) }) }
	cfg.OnNotification = func(method string, params json.RawMessage) {
		m.tell(func() { m.heard = append(m.heard, strings.TrimSpace(method+" "+string(params))) })
	}
	u, err := upstream.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	m.Upstream = u
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- u.Run(ctx) }()
	m.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(m.stop)
	return m
}

func (m *mounted) tell(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
	close(m.wake)
	m.wake = make(chan struct{})
}

// until waits for something that OnLists or OnStatus told.
func (m *mounted) until(what string, ok func() bool) {
	m.t.Helper()
	late := time.After(patience)
	for {
		m.mu.Lock()
		done, wake := ok(), m.wake
		m.mu.Unlock()
		if done {
			return
		}
		select {
		case <-wake:
		case <-late:
			m.t.Fatalf("%s did not happen; status %+v", what, m.Status())
		}
	}
}

func (m *mounted) last() (st upstream.Status) {
	if len(m.states) > 0 {
		st = m.states[len(m.states)-1]
	}
	return st
}

func (m *mounted) ready() *mounted {
	m.t.Helper()
	m.until("ready", func() bool { return m.last().State == upstream.StateReady })
	return m
}

func (m *mounted) down() upstream.Status {
	m.t.Helper()
	m.until("down", func() bool { return m.last().State == upstream.StateDown })
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last()
}

// hears waits for a notification.
func (m *mounted) hears(want string) {
	m.t.Helper()
	m.until("the notification "+want, func() bool { return slices.Contains(m.heard, want) })
}

// tools is the names of the last list.
func (m *mounted) tools() (names []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, tool := range m.lists[len(m.lists)-1].Tools {
		names = append(names, tool.Name)
	}
	return names
}

func (m *mounted) raw(name string) string {
	m.t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, tool := range m.lists[len(m.lists)-1].Tools {
		if tool.Name == name {
			return string(tool.Raw)
		}
	}
	m.t.Fatalf("no tool %q", name)
	return ""
}

// call calls a tool that must answer with a result.
func (m *mounted) call(tool, arguments string) string {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	reply, err := m.Call(ctx, upstream.Call{Tool: tool, Arguments: raw(arguments)})
	if err != nil {
		m.t.Fatalf("%s: %v", tool, err)
	}
	if reply.Error != nil {
		m.t.Fatalf("%s: %v", tool, reply.Error)
	}
	return string(reply.Result)
}

// fails calls a tool that must fail with this error.
func (m *mounted) fails(tool string, want error) error {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	reply, err := m.Call(ctx, upstream.Call{Tool: tool, Arguments: raw(`{}`)})
	if !errors.Is(err, want) {
		m.t.Fatalf("%s: reply %s %v, error %v; want %v", tool, reply.Result, reply.Error, err, want)
	}
	return err
}

func raw(s string) json.RawMessage {
	if s == "" {
		return nil
	}
	return json.RawMessage(s)
}

// stdio is this binary as a server of stdioServers.
func stdio(t testing.TB, server string, env ...string) upstream.Config {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	set := map[string]keys.Secret{"UPSTREAM_TEST_SERVER": keys.Secret(server)}
	for i := 0; i < len(env); i += 2 {
		set[env[i]] = keys.Secret(env[i+1])
	}
	return upstream.Config{Transport: keys.TransportStdio, Command: self, Env: set}
}

func remote(transport keys.Transport, url string) upstream.Config {
	return upstream.Config{Transport: transport, URL: url, AllowPrivate: true}
}

// wakeSoon is for waiting on something that a server records.
func (m *mounted) wakeSoon() <-chan time.Time { return time.After(5 * time.Millisecond) }
