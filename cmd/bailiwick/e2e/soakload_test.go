package e2e_test

import (
	"context"
	cryptorand "crypto/rand"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

const (
	soakClients  = 6
	soakSessions = 520 // more than the server keeps of one key
)

// soakLoad is mixed load on a server with upstreams over stdio and HTTP, one of
// which ends with each call.
type soakLoad struct {
	*mounted
	shared string // a key's token
	steps  atomic.Int64
	kinds  []func(draw *rand.Rand) error
	did    []atomic.Int64
}

func newSoakLoad(t *testing.T, s *server) *soakLoad {
	t.Helper()
	l := &soakLoad{mounted: &mounted{server: s, projects: map[string]string{}, instances: map[string]string{}}}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	l.project(t, "alpha")
	l.stdio(t, "alpha", "notes", notesBin)
	l.stdio(t, "alpha", "mortal", self, "faulty-upstream", "die")
	l.mount(t, "alpha", "web", object{"transport": "http", "url": everythingHTTP(t)})
	l.settle(t, "notes__delete_note", "web__echo", "mortal__good")
	_, l.shared = l.rest().key(t, fullAccess())
	l.kinds = []func(*rand.Rand) error{l.leave, l.call, l.call, l.call, l.deny, l.stranger, l.cut, l.edit, l.relist, l.list, l.cancel, l.crash}
	l.did = make([]atomic.Int64, len(l.kinds))
	return l
}

func (l *soakLoad) String() string {
	text := fmt.Sprintf("%d steps:", l.steps.Load())
	for i, name := range []string{"session left", "call", "call", "call", "denied call", "bad credential", "stream cut", "key's life", "list changed", "lists", "cancelled call", "crash"} {
		text += fmt.Sprintf(" %d %s,", l.did[i].Load(), name)
	}
	return text[:len(text)-1]
}

// prefill opens as many sessions as the server keeps, so that more of them
// replace others.
func (l *soakLoad) prefill(t *testing.T) {
	t.Helper()
	for range soakSessions {
		if err := l.leave(nil); err != nil {
			t.Fatal(err)
		}
	}
}

// run lets the clients work for a time, and for at least so many steps, with
// samples meanwhile.
func (l *soakLoad) run(t *testing.T, length time.Duration, least int64, sample func()) {
	t.Helper()
	until, target := time.Now().Add(length), l.steps.Load()+least
	over := func() bool { return time.Now().After(until) && l.steps.Load() >= target }
	var clients sync.WaitGroup
	failed := make(chan error, soakClients)
	for n := range soakClients {
		clients.Go(func() {
			for draw := rand.New(rand.NewPCG(uint64(n), uint64(target))); !over(); {
				kind := draw.IntN(len(l.kinds))
				if err := l.kinds[kind](draw); err != nil {
					failed <- fmt.Errorf("kind %d: %w", kind, err)
					return
				}
				l.did[kind].Add(1)
				l.steps.Add(1)
			}
		})
	}
	for sample != nil && !over() && len(failed) == 0 {
		sample()
		time.Sleep(max(50*time.Millisecond, min(length/60, 2*time.Second)))
	}
	clients.Wait()
	select {
	case err := <-failed:
		t.Fatal(err)
	default:
	}
}

func (l *soakLoad) modern(token string) modern { return modern{l.url + "/mcp", token} }

// leave opens a session, and does not end it.
func (l *soakLoad) leave(*rand.Rand) error {
	client := &legacy{url: l.url + "/mcp", token: l.shared}
	got, err := client.ask("initialize", object{"protocolVersion": legacyVersion, "capabilities": object{}, "clientInfo": object{"name": "soak", "version": "1"}})
	if err != nil || got.status != 200 {
		return fmt.Errorf("initialize: %w %d %s", err, got.status, got.body)
	}
	client.session = got.header.Get("Mcp-Session-Id")
	return wants(200)(client.ask("tools/list", object{}))
}

func wants(may ...int) func(answer, error) error {
	return func(got answer, err error) error {
		if err != nil {
			return err
		}
		for _, status := range may {
			if got.status == status {
				return nil
			}
		}
		return fmt.Errorf("answered %d %.300s", got.status, got.body)
	}
}

func (l *soakLoad) call(draw *rand.Rand) error {
	if draw.IntN(2) == 0 {
		return wants(200)(l.modern(l.shared).ask("tools/call", object{"name": "web__echo", "arguments": object{"message": "hello"}}))
	}
	return wants(200)(l.modern(l.shared).ask("tools/call", object{"name": "notes__list_notes", "arguments": object{}}))
}

func (l *soakLoad) deny(*rand.Rand) error {
	return wants(200, 400, 404)(l.modern(l.shared).ask("tools/call", object{"name": "notes__no_such_tool", "arguments": object{}}))
}

// stranger shows a token with a bad checksum, or a good one that nobody has.
func (l *soakLoad) stranger(draw *rand.Rand) error {
	token := "bwk_live_0000000000000000000000000000000000000000000000000"
	if draw.IntN(2) == 0 {
		token = unknownToken()
	}
	return wants(401, 429)(l.modern(token).ask("tools/list", object{}))
}

// cut opens a stream and cuts it.
func (l *soakLoad) cut(*rand.Rand) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	message, header := l.modern(l.shared).request("subscriptions/listen", object{"notifications": object{"toolsListChanged": true}})
	response, err := beginUntil(ctx, l.url+"/mcp", l.shared, message, header)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = response.Body.Read(make([]byte, 1))
	return err
}

// edit lets a key live: it is made, used, narrowed, rotated and revoked, with a
// stream of its own open.
func (l *soakLoad) edit(draw *rand.Rand) error {
	r, made := l.rest(), new(struct{ ID, Key string })
	if err := l.ask(r, http.MethodPost, "/api/api-keys", with(fullAccess(), object{"name": "soak"}), made); err != nil {
		return err
	}
	path := "/api/api-keys/" + made.ID
	message, header := l.modern(made.Key).request("subscriptions/listen", object{"notifications": object{"toolsListChanged": true}})
	stream, err := begin(l.url+"/mcp", made.Key, message, header)
	if err != nil {
		return err
	}
	defer stream.Body.Close()
	if err := l.ask(r, http.MethodPut, path, object{"mcpAllowlistMode": "allow", "mcpToolAllowlist": []string{"list_notes"}}, nil); err != nil {
		return err
	}
	if err := l.ask(r, http.MethodPost, path+"/rotate", object{"graceSeconds": draw.IntN(3)}, made); err != nil {
		return err
	}
	if err := l.ask(r, http.MethodDelete, path, nil, nil); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, stream.Body) // the revoke ends it
	return err
}

// unknownToken is a token as the server makes them, which it has not made.
func unknownToken() string {
	token, err := keys.NewToken(cryptorand.Reader, keys.DefaultTokenPrefix)
	if err != nil {
		panic(err)
	}
	return token.Reveal()
}

func (l *soakLoad) ask(r rest, method, path string, body any, into any) error {
	status, text, err := r.try(method, path, body)
	if err != nil || status/100 != 2 {
		return fmt.Errorf("%s %s: %w %d %.300s", method, path, err, status, text)
	}
	answered{status: status, body: text}.into(into)
	return nil
}

// relist changes what everybody sees of an instance.
func (l *soakLoad) relist(draw *rand.Rand) error {
	effect := []string{"read", "write", "destructive"}[draw.IntN(3)]
	return l.ask(l.rest(), http.MethodPut, "/api/instances/"+l.instances["notes"],
		object{"tools": []object{{"match": "write_note", "effect": effect}}}, nil)
}

func (l *soakLoad) list(*rand.Rand) error {
	for _, path := range []string{"/api/projects", "/api/instances", "/api/audit?limit=20", "/api/admin/api-keys?limit=20"} {
		if err := l.ask(l.rest(), http.MethodGet, path, nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// cancel gives a call up while the upstream works on it.
func (l *soakLoad) cancel(*rand.Rand) error {
	client := l.modern(l.shared)
	message, header := client.request("tools/call", object{"name": "web__trigger-long-running-operation", "arguments": object{"duration": 1, "steps": 4}})
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	if err := postUntil(ctx, client, message, header); err == nil && ctx.Err() == nil {
		return fmt.Errorf("the long call was answered at once")
	}
	return nil
}

func (l *soakLoad) crash(draw *rand.Rand) error {
	if draw.IntN(10) > 0 { // it comes back after a wait that grows
		return nil
	}
	return wants(200)(l.modern(l.shared).ask("tools/call", object{"name": "mortal__good", "arguments": object{}}))
}
