package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
)

// written is what the server acknowledged of one key.
type written struct {
	id, token string
	name      string // as last acknowledged
	revoked   bool
	unsure    bool // an edit of it was under way when the server ended
}

// TestKillDuringWritesLosesNothing kills the server three times while four
// clients create, rename and revoke keys, and looks at every acknowledged
// write after each restart.
func TestKillDuringWritesLosesNothing(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		data := t.TempDir()
		checkCrashes(t, func() *server { return serveOn(t, data, nil) })
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		data, url := t.TempDir(), postgresURL(t)
		checkCrashes(t, func() *server { return serveOn(t, data, nil, "--migrate", "--database-url", url) })
	})
}

func checkCrashes(t *testing.T, start func() *server) {
	s := start()
	firstKey := s.firstKey
	if firstKey == "" {
		t.Fatal("no first key on an empty store")
	}
	var all []*written
	for round := range 3 {
		all = append(all, writeUntilKilled(t, s, firstKey, round)...)
		s = start()
		if s.firstKey != "" {
			t.Fatal("a second first key: the store was taken for a new one")
		}
		checkWritten(t, s, firstKey, all)
	}
	t.Logf("%d keys were acknowledged over three kills", len(all))
}

// writeUntilKilled ends the server in the middle of the work.
func writeUntilKilled(t *testing.T, s *server, token string, round int) []*written {
	const writers, enough = 4, 60
	var mu sync.Mutex
	var all []*written
	acknowledged := make(chan struct{}, 1024)
	var running sync.WaitGroup
	for w := range writers {
		running.Go(func() {
			for i := 0; ; i++ {
				k := &written{name: fmt.Sprintf("crash %d.%d.%d", round, w, i)}
				if !k.create(t, rest{s.url, token}) {
					return
				}
				mu.Lock()
				all = append(all, k)
				mu.Unlock()
				acknowledged <- struct{}{}
				if !k.edit(rest{s.url, token}, i) {
					return
				}
			}
		})
	}
	for range enough {
		<-acknowledged
	}
	s.kill()
	running.Wait()
	return all
}

// create reports whether the server acknowledged it.
func (k *written) create(t *testing.T, r rest) bool {
	status, body, err := r.try(http.MethodPost, "/api/api-keys", object{"name": k.name})
	if err != nil {
		return false
	}
	var made struct{ ID, Key string }
	if status != http.StatusCreated || json.Unmarshal(body, &made) != nil {
		t.Errorf("create: %d %s", status, body)
		return false
	}
	k.id, k.token = made.ID, made.Key
	return true
}

// edit renames every third key and revokes every third.
func (k *written) edit(r rest, i int) bool {
	var err error
	switch i % 3 {
	case 1:
		_, _, err = r.try(http.MethodPut, "/api/api-keys/"+k.id, object{"name": k.name + " renamed"})
		if err == nil {
			k.name += " renamed"
		}
	case 2:
		_, _, err = r.try(http.MethodDelete, "/api/api-keys/"+k.id, nil)
		k.revoked = err == nil
	}
	k.unsure = err != nil
	return err == nil
}

func checkWritten(t *testing.T, s *server, token string, all []*written) {
	t.Helper()
	for _, k := range all {
		status, body := rest{s.url, token}.do(t, http.MethodGet, "/api/api-keys/"+k.id, nil)
		var found struct {
			Name      string
			RevokedAt *string
		}
		if status != 200 || json.Unmarshal(body, &found) != nil {
			t.Errorf("%s was acknowledged and is gone: %d %s", k.name, status, body)
			continue
		}
		if !k.unsure && (found.Name != k.name || (found.RevokedAt != nil) != k.revoked) {
			t.Errorf("%s (revoked %v) was acknowledged, the store says %s", k.name, k.revoked, body)
		}
		got := callTool(t, modern{s.url + "/mcp", k.token}, "whoami", object{})
		if works := got.status == 200; !k.unsure && works == k.revoked {
			t.Errorf("%s (revoked %v): its token answers %d %s", k.name, k.revoked, got.status, got.body)
		}
	}
}
