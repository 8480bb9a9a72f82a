package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

const (
	stormCalls   = 500 // a second, of all callers
	stormEdits   = 20  // a second, of all editors
	stormCallers = 50
	stormEditors = 10
	stormKeys    = 3 // of each editor at the beginning
	// stormPatience is how long a call or an edit may take, whatever happens to
	// the database: what takes longer counts as hanging.
	stormPatience = 45 * time.Second
)

// storm is calls and edits on several servers that share a database, while
// something happens to it. Everything is noted: what was asked when, and what
// came back when.
type storm struct {
	servers []*server
	token   string
	client  *http.Client

	mu    sync.Mutex
	keys  []*stormKey
	calls []stormCall
	// unmade are attempts to make a key that were not acknowledged.
	unmade []stormEdit
	odd    []string // answers that are none of the documented ones

	stop context.CancelFunc
	all  sync.WaitGroup
}

// stormKey is a key that one editor changes, one edit after the other.
type stormKey struct {
	id, token string
	edits     []stormEdit // under storm.mu
}

// stormEdit is one edit of a key, and what it was told.
type stormEdit struct {
	taking       taking
	takes        bool // else it gives back
	began, ended time.Time
	status       int
	version      int64
}

func (e *stormEdit) acknowledged() bool { return e.status/100 == 2 }

// stormCall is one call of a tool.
type stormCall struct {
	key          *stormKey
	server       int
	began, ended time.Time
	status       int // 0 = no answer
	allowed      bool
	code         string // of the problem, where there is one
}

// taking is a way to take a key's right to call the tool away, and to give it back.
type taking struct {
	name       string
	take, give object // nil take: revoke; nil give: for good
}

var stormTakings = []taking{
	{"pause", object{"mcpActive": false}, object{"mcpActive": true}},
	{"narrow", object{"mcpAllowlistMode": "allow", "mcpToolAllowlist": []string{}}, object{"mcpAllowlistMode": "all"}},
	{"revoke", nil, nil},
}

// newStorm starts servers on the database, with the sample upstream mounted.
func newStorm(t *testing.T, servers int, args ...string) *storm {
	t.Helper()
	s := &storm{client: &http.Client{Timeout: stormPatience,
		Transport: &http.Transport{MaxIdleConnsPerHost: 2 * (stormCallers + stormEditors)}}}
	t.Cleanup(s.client.CloseIdleConnections)
	data := t.TempDir()
	config := filepath.Join(data, "mcp.json")
	text, err := json.Marshal(object{"mcpServers": object{"notes": object{"command": notesBin}}})
	if err == nil {
		err = os.WriteFile(config, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	for range servers { // they share the folder, and so the root secret
		s.servers = append(s.servers, serveOn(t, data, nil, append([]string{"--migrate", "--mcp-config", config}, args...)...))
	}
	s.token = s.servers[0].firstKey
	for n := range stormEditors * stormKeys {
		s.create(n % len(s.servers))
	}
	if len(s.keys) != stormEditors*stormKeys {
		t.Fatalf("only %d keys could be made: %q", len(s.keys), s.odd)
	}
	for _, k := range s.keys { // every server knows every key before it begins
		for i := range s.servers {
			eventually(t, "the tool is served", func() string {
				c := s.call(i, k)
				s.calls = append(s.calls, c)
				if !c.allowed {
					return fmt.Sprintf("server %d: %d %s", i, c.status, c.code)
				}
				return ""
			})
		}
	}
	return s
}

// begin starts the callers and editors; end waits for them.
func (s *storm) begin() {
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	pace := func(n, of, perSecond int, do func(draw *rand.Rand)) {
		s.all.Go(func() {
			draw := rand.New(rand.NewPCG(uint64(n), uint64(of)))
			period := time.Second * time.Duration(of) / time.Duration(perSecond)
			time.Sleep(period * time.Duration(n) / time.Duration(of))
			ticker := time.NewTicker(period)
			defer ticker.Stop()
			for {
				do(draw)
				select {
				case <-ctx.Done():
					return
				case <-ticker.C:
				}
			}
		})
	}
	for n := range stormCallers {
		pace(n, stormCallers, stormCalls, func(draw *rand.Rand) {
			s.mu.Lock()
			k := s.keys[draw.IntN(len(s.keys))]
			s.mu.Unlock()
			c := s.call(draw.IntN(len(s.servers)), k)
			s.mu.Lock()
			defer s.mu.Unlock()
			s.calls = append(s.calls, c)
		})
	}
	for n := range stormEditors {
		own := s.keys[n*stormKeys : (n+1)*stormKeys : (n+1)*stormKeys]
		turn := 0
		pace(n, stormEditors, stormEdits, func(draw *rand.Rand) {
			own = s.editOne(own, turn, draw.IntN(len(s.servers)), draw)
			turn++
		})
	}
}

func (s *storm) end() {
	s.stop()
	s.all.Wait()
}

// editOne makes one edit: every fifth makes a key, every fifth revokes one that
// was made so, and the others pause, resume, narrow and widen.
func (s *storm) editOne(own []*stormKey, turn, server int, draw *rand.Rand) []*stormKey {
	switch {
	case turn%5 == 0:
		if k := s.create(server); k != nil {
			own = append(own, k)
		}
	case turn%5 == 4 && len(own) > stormKeys:
		k := own[stormKeys]
		if e := s.edit(server, k, stormTakings[2], true); e.acknowledged() {
			own = append(own[:stormKeys:stormKeys], own[stormKeys+1:]...)
		}
	default:
		k, how := own[draw.IntN(stormKeys)], stormTakings[draw.IntN(2)]
		s.edit(server, k, how, s.lastOf(k, how.name) == nil || !s.lastOf(k, how.name).takes)
	}
	return own
}

// lastOf is the last edit of a key in one way, whatever came of it.
func (s *storm) lastOf(k *stormKey, name string) *stormEdit {
	for i := len(k.edits) - 1; i >= 0; i-- {
		if k.edits[i].taking.name == name {
			return &k.edits[i]
		}
	}
	return nil
}

func (s *storm) edit(server int, k *stormKey, how taking, takes bool) stormEdit {
	e := stormEdit{taking: how, takes: takes, began: time.Now()}
	method, body := http.MethodPut, how.give
	if takes {
		body = how.take
	}
	if body == nil {
		method = http.MethodDelete
	}
	got := s.send(server, method, "/api/api-keys/"+k.id, body)
	e.ended, e.status = time.Now(), got.status
	var changed struct{ Version int64 }
	if got.into(&changed) {
		e.version = changed.Version
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k.edits = append(k.edits, e)
	return e
}

// create makes a key; nil where that was not acknowledged.
func (s *storm) create(server int) *stormKey {
	e := stormEdit{taking: taking{name: "create"}, began: time.Now()}
	got := s.send(server, http.MethodPost, "/api/api-keys", with(fullAccess(), object{"name": "storm"}))
	e.ended, e.status = time.Now(), got.status
	var made struct {
		ID, Key string
		Version int64
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !got.into(&made) {
		s.unmade = append(s.unmade, e)
		return nil
	}
	e.version = made.Version
	k := &stormKey{id: made.ID, token: made.Key, edits: []stormEdit{e}}
	s.keys = append(s.keys, k)
	return k
}
