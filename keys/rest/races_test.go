package rest_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"sync"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/db"
	"github.com/bailiwick-mcp/bailiwick/db/dbtest"
	"github.com/bailiwick-mcp/bailiwick/keys"
)

// race sends n requests at once and answers what each got.
func (s *site) race(n int, request func(i int) (method, path, body string, headers []string)) []response {
	s.t.Helper()
	out, errs := make([]response, n), make([]error, n)
	start := make(chan struct{})
	var running sync.WaitGroup
	for i := range n {
		running.Go(func() {
			method, path, body, headers := request(i)
			<-start
			out[i], errs[i] = s.send(method, path, as(s.first.Secret.Reveal(), body, headers...), body)
		})
	}
	close(start)
	running.Wait()
	for _, err := range errs {
		s.must(err)
	}
	return out
}

// statuses counts the answers by status.
func statuses(all []response) map[int]int {
	out := map[int]int{}
	for _, r := range all {
		out[r.status]++
	}
	return out
}

// Two toggles at once are two flips: one answer says paused, one active, and
// the key is as it was.
func TestTogglesAtOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, cfg db.Config) {
		s := newSite(t, cfg)
		key := s.mint(keys.NewKey{}).Key
		for pair := range 25 {
			before := s.epoch()
			all := s.race(2, func(i int) (string, string, string, []string) {
				return []string{"PATCH", "POST"}[i], "/api/api-keys/" + key.ID + "/toggle", "", nil
			})
			active, versions := map[bool]bool{}, map[float64]bool{}
			for _, r := range all {
				var got map[string]any
				if r.status != 200 || json.Unmarshal([]byte(r.body), &got) != nil {
					t.Fatalf("pair %d: %d %s", pair, r.status, r.body)
				}
				active[got["mcpActive"].(bool)], versions[got["version"].(float64)] = true, true
			}
			now, err := s.svc.Key(s.ctx, s.op, key.ID)
			s.must(err)
			if len(active) != 2 || len(versions) != 2 || !now.Policy.Active || s.epoch() != before+2 {
				t.Fatalf("pair %d: answers %v of versions %v, stored %v, %d edits", pair, active, versions, now.Policy.Active, s.epoch()-before)
			}
		}
	})
}

// names are how a shape makes a key whose name can be had once.
var names = map[string]struct{ path, body string }{
	"ocore":      {"/api/api-keys", `{"name":"racer %[1]d","handle":"%[2]s"}`},
	"walletcrew": {"/api/default/admin/apiKeys", `{"name":"%[2]s"}`},
}

// Of twenty that want one handle exactly one gets it, and the others nothing.
func TestOneHandleForMany(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, cfg db.Config) {
		s := newSite(t, cfg)
		for shape, create := range names {
			for round := range 3 {
				handle, before := fmt.Sprintf("%s-%d", shape, round), s.epoch()
				all := s.race(20, func(i int) (string, string, string, []string) {
					return "POST", create.path, fmt.Sprintf(create.body, i, handle), nil
				})
				if got := statuses(all); got[201] != 1 || got[409] != 19 {
					t.Errorf("%s: %v", shape, got)
				}
				if edits := s.epoch() - before; edits != 1 {
					t.Errorf("%s: %d edits", shape, edits)
				}
			}
		}
	})
}

// edits are how a shape changes a key of a version, each time to something else.
var edits = map[string]struct {
	path func(keys.Key) string
	body func(i, round int) string
}{
	"ocore": {
		func(k keys.Key) string { return "/api/api-keys/" + k.ID },
		func(i, round int) string { return fmt.Sprintf(`{"name":"%d of %d"}`, i, round) },
	},
	"walletcrew": {
		func(k keys.Key) string { return "/api/default/admin/apiKeys/" + k.Handle },
		func(i, round int) string {
			resources := []string{"apiKey", "project", "instance", "preset", "audit", "approval", "tenant"}
			verb := []string{"read", "write"}[round%2]
			return fmt.Sprintf(`{"enabled":%v,"permissions":["tenant.%s:%s"]}`, i < len(resources), resources[i%len(resources)], verb)
		},
	},
}

// propagated is what the answer to an edit has beside the thing itself.
var propagated = regexp.MustCompile(`,"propagation":\{[^}]*\}`)

// Of many edits of one version exactly one is made, and it is the one that was
// answered so.
func TestOneEditOfAVersion(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, cfg db.Config) {
		s := newSite(t, cfg)
		for shape, edit := range edits {
			path := edit.path(s.mint(keys.NewKey{}).Key)
			for round := range 10 {
				tag, before := s.ask("GET", path, "").header.Get("ETag"), s.epoch()
				all := s.race(10, func(i int) (string, string, string, []string) {
					return "PUT", path, edit.body(i, round), []string{"If-Match", tag}
				})
				if got := statuses(all); got[200] != 1 || got[412] != 9 || s.epoch() != before+1 {
					t.Fatalf("%s, round %d: %v, %d edits", shape, round, got, s.epoch()-before)
				}
				stored := s.ask("GET", path, "")
				for _, r := range all {
					if r.status == 200 && (propagated.ReplaceAllString(r.body, "") != stored.body || r.header.Get("ETag") != stored.header.Get("ETag")) {
						t.Errorf("%s, round %d: %s was answered, %s is stored", shape, round, r.body, stored.body)
					}
				}
			}
		}
	})
}
