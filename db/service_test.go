package db_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/db"
	"github.com/bailiwick-mcp/bailiwick/db/dbtest"
	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// replicas are two processes over one database, and the operator of a tenant.
type replicas struct {
	both [2]*keys.Service
	op   keys.Principal
}

func newReplicas(t testing.TB, cfg db.Config) *replicas {
	t.Helper()
	var r replicas
	for i := range r.both {
		svc, err := keys.New(t.Context(), keys.Config{
			Store: dbtest.Open(t, cfg), Root: keys.RootSecret{Value: "test-root-secret-0123456789-abcdefghij"},
		})
		if err != nil {
			t.Fatal(err)
		}
		r.both[i] = svc
	}
	if _, err := r.both[0].Bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	var err error
	if r.op, err = r.both[0].Operator(t.Context(), "default"); err != nil {
		t.Fatal(err)
	}
	return &r
}

// atOnce runs fn n times at the same moment, on each replica in turn.
func (r *replicas) atOnce(n int, fn func(svc *keys.Service) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-start
			errs[i] = fn(r.both[i%2])
		})
	}
	close(start)
	all.Wait()
	return errs
}

// Processes of one database let through together what a limit says, less what one
// of them has in hand while another asks.
func TestTwoProcessesOneLimit(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, cfg db.Config) {
		r := newReplicas(t, cfg)
		const most = 48
		issued, err := r.both[0].CreateKey(t.Context(), r.op, keys.NewKey{Name: "k", PolicyPatch: keys.PolicyPatch{
			MCPLimits: keys.Some([]policy.RateLimit{{Tool: "*", Requests: most, Per: policy.PerDay}})}})
		if err != nil {
			t.Fatal(err)
		}
		passed := 0
		for _, err := range r.atOnce(2*most, func(svc *keys.Service) error {
			p, err := svc.Authenticate(t.Context(), issued.Secret)
			if err != nil {
				return err
			}
			_, err = svc.CountCall(t.Context(), p, &policy.Tool{ID: "a/x", Name: "a__x", Effect: policy.EffectRead})
			return err
		}) {
			var full *keys.LimitError
			switch {
			case err == nil:
				passed++
			case !errors.As(err, &full):
				t.Error(err)
			}
		}
		if passed > most || passed < most-most/16 {
			t.Errorf("%d of %d calls passed", passed, most)
		}
	})
}

func TestOneHandleTwoCreates(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, cfg db.Config) {
		r := newReplicas(t, cfg)
		for round := range 5 {
			won, lost := 0, 0
			for _, err := range r.atOnce(2, func(svc *keys.Service) error {
				_, err := svc.CreateKey(t.Context(), r.op, keys.NewKey{Name: "k", Handle: fmt.Sprintf("wanted-%d", round)})
				return err
			}) {
				var conflict *keys.ConflictError
				switch {
				case err == nil:
					won++
				case errors.As(err, &conflict) && conflict.Field == "handle":
					lost++
				default:
					t.Error(err)
				}
			}
			if won != 1 || lost != 1 {
				t.Errorf("%d won, %d lost", won, lost)
			}
		}
	})
}

func TestTwoTogglesAreTwoFlips(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, cfg db.Config) {
		r := newReplicas(t, cfg)
		issued, err := r.both[0].CreateKey(t.Context(), r.op, keys.NewKey{Name: "k"})
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			var mu sync.Mutex
			var states []bool
			for _, err := range r.atOnce(2, func(svc *keys.Service) error {
				k, err := svc.ToggleKey(t.Context(), r.op, issued.Key.ID, 0)
				mu.Lock()
				defer mu.Unlock()
				states = append(states, k.Policy.Active)
				return err
			}) {
				if err != nil {
					t.Error(err)
				}
			}
			k, err := r.both[0].Key(t.Context(), r.op, issued.Key.ID)
			if err != nil || !k.Policy.Active || states[0] == states[1] {
				t.Fatalf("active %v after %v, %v", k.Policy.Active, states, err)
			}
		}
	})
}

// One request that reaches two replicas at once makes one key, and both answer it.
func TestOneRequestOnTwoReplicas(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, cfg db.Config) {
		r := newReplicas(t, cfg)
		for round := range 5 {
			n := keys.NewKey{Name: "k", Idempotency: keys.Idempotency{Key: fmt.Sprint(round), Digest: [32]byte{1}}}
			var mu sync.Mutex
			var tokens []keys.Secret
			for _, err := range r.atOnce(2, func(svc *keys.Service) error {
				issued, err := svc.CreateKey(t.Context(), r.op, n)
				mu.Lock()
				defer mu.Unlock()
				tokens = append(tokens, issued.Secret)
				return err
			}) {
				if err != nil {
					t.Error(err)
				}
			}
			if len(slices.Compact(tokens)) != 1 || tokens[0] == "" {
				t.Error("two answers to one request")
			}
		}
		if _, total, err := r.both[0].Keys(t.Context(), r.op, keys.KeyQuery{Search: "k", Limit: 1}); err != nil || total != 6 { // and the first key
			t.Errorf("%d keys, %v", total, err)
		}
	})
}

func importOf(n int, name string) []keys.ImportedKey {
	list := make([]keys.ImportedKey, n)
	for i := range list {
		list[i] = keys.ImportedKey{
			NewKey: keys.NewKey{
				Name: fmt.Sprintf("%s %d", name, i), Permissions: keys.Some([]string{"view:projects"}),
				PolicyPatch: keys.PolicyPatch{MCPPreset: keys.Some(policy.PresetStandard), MCPToolAllowlist: keys.Some([]string{"search", "get_*"})},
			},
			Digest: sha256.Sum256(fmt.Appendf(nil, "%s-token-%d", name, i)), Prefix: "sk-live-",
		}
	}
	return list
}

// The largest import, also with the longest lists that keys may have.
func TestImportTenThousand(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, cfg db.Config) {
		r := newReplicas(t, cfg)
		list := importOf(10_000, "k")
		long := make([]string, 256)
		for i := range long {
			long[i] = strings.Repeat("a_", 126) + fmt.Sprintf("%04d", i)
		}
		for i := range 20 { // some statements get longer than a megabyte
			list[i].MCPToolAllowlist = keys.Some(long)
		}
		results, err := r.both[0].ImportKeys(t.Context(), r.op, list)
		if err != nil || len(results) != len(list) {
			t.Fatal(err)
		}
		for _, i := range []int{0, 9_999} {
			p, err := r.both[0].Authenticate(t.Context(), keys.Secret(fmt.Sprintf("k-token-%d", i)))
			if err != nil || p.KeyID() != results[i].Key.ID || p.Key().Name != list[i].Name {
				t.Errorf("key %d: %+v, %v", i, p.Key(), err)
			}
		}
		if _, err := r.both[0].ImportKeys(t.Context(), r.op, list[:1]); err == nil {
			t.Error("imported twice")
		}
	})
}

func BenchmarkImportTenThousand(b *testing.B) {
	for name, cfg := range map[string]func(testing.TB) db.Config{"sqlite": dbtest.SQLite, "postgres": dbtest.Postgres} {
		b.Run(name, func(b *testing.B) {
			r := newReplicas(b, cfg(b))
			first := r.op
			for n := 0; b.Loop(); n++ {
				if _, err := r.both[0].ImportKeys(b.Context(), first, importOf(10_000, fmt.Sprint("k", n))); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
