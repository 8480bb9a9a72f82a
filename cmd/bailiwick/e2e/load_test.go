package e2e_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

var loadFor = flag.Duration("load", 5*time.Second, "how long TestLoad works")

const (
	loadClients = 200
	loadShared  = 40 // keys that all clients change
	loadLeast   = 5  // steps of one client, however long they take
	loadMost    = 10_000
	loadTries   = 200 // of one update, until its version is still the last
)

// load is what 200 clients did and were told.
type load struct {
	url, token string
	client     *http.Client
	shared     []string // ids
	until      time.Time

	mu      sync.Mutex
	took    map[string][]time.Duration
	bad     []string          // answers that should not be
	updates map[string]update // by the description that they wrote
	toggles []change
	created map[string]bool // id -> live
}

// change is an edit that was acknowledged.
type change struct {
	key     string
	version int64
	active  bool // what a toggle answered
}

// update is a change, and the version that it was of.
type update struct {
	change
	of string // as ETag had it
}

// TestLoad lets 200 clients list, create, update, toggle and revoke at once,
// then holds what they were told against the audit trail and the store: no
// answer of 5xx, every acknowledged change exactly once, none lost.
func TestLoad(t *testing.T) {
	s := serveOn(t, t.TempDir(), nil, "--migrate", "--database-url", postgresURL(t))
	l := &load{url: s.url, token: s.firstKey, until: time.Now().Add(*loadFor),
		client: &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: loadClients}},
		took:   map[string][]time.Duration{}, updates: map[string]update{}, created: map[string]bool{}}
	for i := range loadShared {
		id, _ := s.rest().key(t, object{"name": fmt.Sprint("shared ", i)})
		l.shared = append(l.shared, id)
	}
	var running sync.WaitGroup
	for n := range loadClients {
		running.Go(func() { l.work(n) })
	}
	running.Wait()
	l.report(t)
	if len(l.bad) > 0 {
		t.Fatalf("%d answers that should not be, like %s", len(l.bad), l.bad[0])
	}
	l.check(t, s.rest())
}

// work is one client's: a mix drawn from its own seed.
func (l *load) work(n int) {
	draw := rand.New(rand.NewPCG(uint64(n), 1))
	var own []string
	for i := 0; i < loadLeast || i < loadMost && time.Now().Before(l.until); i++ {
		shared := l.shared[draw.IntN(len(l.shared))]
		switch kind := draw.IntN(10); {
		case kind == 0:
			l.ask("list", http.MethodGet, "/api/api-keys", nil, "", 200)
		case kind < 3 && len(own) < 3:
			var made struct{ ID string }
			if l.ask("create", http.MethodPost, "/api/api-keys", object{"name": fmt.Sprintf("own %d.%d", n, i)}, "", 201).into(&made) {
				own = append(own, made.ID)
				l.note(func() { l.created[made.ID] = true })
			}
		case kind < 4 && len(own) > 0:
			if l.ask("revoke", http.MethodDelete, "/api/api-keys/"+own[0], nil, "", 200).status == 200 {
				id := own[0]
				l.note(func() { l.created[id] = false })
			}
			own = own[1:]
		case kind < 6:
			var got struct {
				Version   int64
				MCPActive bool
			}
			if l.ask("toggle", http.MethodPatch, "/api/api-keys/"+shared+"/toggle", nil, "", 200).into(&got) {
				l.note(func() { l.toggles = append(l.toggles, change{shared, got.Version, got.MCPActive}) })
			}
		default:
			l.update(shared, fmt.Sprintf("update %d.%d", n, i))
		}
	}
}

// update reads the key and changes the version that it read, until it is the one.
func (l *load) update(id, description string) {
	path := "/api/api-keys/" + id
	for range loadTries {
		read := l.ask("get", http.MethodGet, path, nil, "", 200)
		if read.status != 200 {
			return
		}
		wrote := l.ask("update", http.MethodPut, path, object{"description": description}, read.tag, 200, 412)
		var got struct{ Version int64 }
		if wrote.into(&got) {
			l.note(func() { l.updates[description] = update{change{key: id, version: got.Version}, read.tag} })
		}
		if wrote.status != 412 {
			return
		}
	}
	l.note(func() { l.bad = append(l.bad, fmt.Sprintf("%s: %d tries were not enough", description, loadTries)) })
}

func (l *load) note(fn func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fn()
}

// answered is what a client was told.
type answered struct {
	status int
	tag    string
	body   []byte
}

// into decodes an answer of success.
func (a answered) into(v any) bool {
	return a.status/100 == 2 && json.Unmarshal(a.body, v) == nil
}

// ask sends one request, and notes how long it took and whether its status is
// one of those that may be.
func (l *load) ask(what, method, path string, body object, tag string, may ...int) answered {
	began := time.Now()
	got, err := l.send(method, path, body, tag)
	took := time.Since(began)
	l.note(func() {
		if err != nil || !slices.Contains(may, got.status) {
			l.bad = append(l.bad, fmt.Sprintf("%s %s: %v %d %.300s", method, path, err, got.status, got.body))
		}
		if got.status == 412 {
			what += " (412)"
		}
		l.took[what] = append(l.took[what], took)
	})
	return got
}

func (l *load) send(method, path string, body object, tag string) (answered, error) {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return answered{}, err
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequest(method, l.url+path, content)
	if err != nil {
		return answered{}, err
	}
	request.Header.Set("Authorization", "Bearer "+l.token)
	request.Header.Set("Content-Type", "application/json")
	if tag != "" {
		request.Header.Set("If-Match", tag)
	}
	response, err := l.client.Do(request)
	if err != nil {
		return answered{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return answered{response.StatusCode, response.Header.Get("ETag"), text}, err
}

// report tells how long the operations took.
func (l *load) report(t *testing.T) {
	names, total := []string{}, 0
	for name, all := range l.took {
		slices.Sort(all)
		names, total = append(names, name), total+len(all)
	}
	slices.Sort(names)
	t.Logf("%d clients, %s: %d requests", loadClients, *loadFor, total)
	for _, name := range names {
		all := l.took[name]
		at := func(percent int) time.Duration { return all[(len(all)-1)*percent/100].Round(100 * time.Microsecond) }
		t.Logf("%-13s %7d  p50 %9s  p99 %9s", name, len(all), at(50), at(99))
	}
}
