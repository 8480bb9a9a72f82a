package mcp_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// replayed has the trail's decisions made again, when all are written; each that
// comes out otherwise fails the test.
func (w *world) replayed() keys.Replay {
	w.t.Helper()
	w.until("the trail is written", func() bool {
		waiting, _ := w.svc.AuditWaiting()
		return waiting == 0
	})
	got, err := w.svc.ReplayAudit(w.t.Context(), w.op, keys.ReplayQuery{}, func(d keys.ReplayDifference) error {
		w.t.Errorf("%s %s by %s at edit %d was %s %v, and is %s %v %s (seen %s)", d.Entry.Action, d.Entry.Tool, d.Entry.Actor, d.Entry.Epoch,
			d.Entry.Decision, d.Entry.Failed, d.Decision, d.Failed, d.Problem, d.Entry.Seen)
		return nil
	})
	must(w.t, err)
	return got
}

// TestReplay: while keys, their parents, presets, instances and the tenant are
// edited and calls are made beside it, what each decision was can be told
// afterwards from the trail alone, with all failing rules; and so can that one of
// them was changed.
func TestReplay(t *testing.T) {
	for seed := range uint64(3) {
		s := newSchedule(t, seed)
		s.run(120)
		s.denyCalls()
		got := s.w.replayed()
		if calls := got.Skipped[keys.SkipCallTime]; calls < 4 || calls > got.Same {
			t.Errorf("seed %d: of rules for calls: %d", seed, calls)
		}
		delete(got.Skipped, keys.SkipCallTime)
		delete(got.Skipped, keys.SkipNotMCP) // of a built-in, to whom an edit came between the gate and the Service
		if got.Different != 0 || len(got.Skipped) != 0 || got.Same < 150 {
			t.Errorf("seed %d: %+v", seed, got)
		}
		t.Logf("seed %d: %+v, %v", seed, got, s.failed())
		s.falsify()
	}
}

// schedule is edits in an order by chance, and calls beside them.
type schedule struct {
	w         *world
	r         *rand.Rand
	instances []keys.Instance
	project   keys.Project
	upstream  *fakeUpstream

	mu   sync.Mutex
	keys []keys.Issued
	over atomic.Bool
}

func newSchedule(t *testing.T, seed uint64) *schedule {
	s := &schedule{w: newWorld(t, hasty), r: rand.New(rand.NewPCG(seed, 1))}
	w := s.w
	s.upstream = newUpstream(t, tool("r", "r"), tool("w", "w"), tool("d", "d")).with(everyKind())
	s.upstream.onAny(func(fakeCall) string { return `{}` })
	s.instances = []keys.Instance{w.mount("a1", s.upstream), w.mount("b2", newUpstream(t, tool("r", "r"), tool("w", "w")))}
	var err error
	s.project, err = w.svc.CreateProject(t.Context(), w.op, keys.NewProject{Slug: "other", Name: "Other"})
	must(t, err)
	for _, name := range []string{"x", "y"} {
		_, err := w.svc.CreatePreset(t.Context(), w.op, keys.NewPreset{Name: name, Permissions: []string{"mcp:*"}, MaxEffect: policy.EffectWrite})
		must(t, err)
	}
	w.jwtPolicy(nil)
	s.keys = []keys.Issued{w.key(), w.key(), w.jwt("alice", "view:api-keys"), w.jwt("bob")}
	for _, parent := range []int{0, 1, 4} { // a child each, and one of a child
		s.mint(s.keys[parent].Key.ID)
	}
	return s
}

// run makes the edits; two callers go on beside it, and one after each edit, so
// that what was just edited is decided by.
func (s *schedule) run(edits int) {
	var callers sync.WaitGroup
	for n := range uint64(2) {
		r := rand.New(rand.NewPCG(n, 2))
		callers.Go(func() {
			for !s.over.Load() {
				s.call(r)
			}
		})
	}
	for range edits {
		if err := s.edit(); err != nil {
			s.w.t.Error(err)
		}
		s.call(s.r)
	}
	s.over.Store(true)
	callers.Wait()
}

// denyCalls has each rule for calls deny one, and let one pass, whatever chance did.
func (s *schedule) denyCalls() {
	w := s.w
	_, err := w.svc.UpdateInstance(w.t.Context(), w.op, s.instances[0].ID, keys.InstanceSpec{WriteEnabled: keys.Some(true)})
	must(w.t, err)
	k := w.key(func(n *keys.NewKey) {
		n.MCPArgumentRules = keys.Some([]policy.ArgumentRule{{Tool: "a1/w", Pointer: "/p", Allow: []string{"x*"}}})
		n.MCPApprovals = keys.Some([]policy.ApprovalRule{{Tool: "a1/d", Effect: policy.EffectRead}})
		n.MCPLimits = keys.Some([]policy.RateLimit{{Tool: "a1/w", Requests: 1, Per: policy.PerDay}})
	})
	for _, call := range []string{`"name":"a1__w","arguments":{}`, `"name":"a1__w","arguments":{"p":"x"}`,
		`"name":"a1__w","arguments":{"p":"x"}`, `"name":"a1__d","arguments":{}`} {
		w.modern(k, "/mcp", "tools/call", call)
	}
}

func (s *schedule) mint(parent string) {
	n := keys.NewKey{Name: "child", ParentKeyID: parent, Permissions: keys.Some([]string{"*"}), Source: "api"}
	n.MCPReadOnly, n.MCPPreset = keys.Some(false), keys.Some(oneOf(s.r, policy.PresetFullAccess, "x"))
	if s.r.IntN(3) == 0 {
		at := s.w.clock.Now().Add(time.Duration(s.r.IntN(500)) * time.Millisecond).Add(100 * time.Millisecond)
		n.ExpiresAt = &at
	}
	issued, err := s.w.svc.CreateKey(s.w.t.Context(), s.w.op, n)
	var invalid *keys.InvalidError
	if errors.As(err, &invalid) { // the parent has ended, or is deep
		return
	}
	must(s.w.t, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = append(s.keys, issued)
}

func (s *schedule) any(r *rand.Rand) keys.Issued {
	s.mu.Lock()
	defer s.mu.Unlock()
	return oneOf(r, s.keys...)
}

func oneOf[T any](r *rand.Rand, values ...T) T { return values[r.IntN(len(values))] }

// some is a value now and then.
func some[T any](r *rand.Rand, values ...T) (o keys.Opt[T]) {
	if r.IntN(4) == 0 {
		o = keys.Some(oneOf(r, values...))
	}
	return o
}

func (s *schedule) edit() error {
	w, r, ctx := s.w, s.r, s.w.t.Context()
	id := s.any(r).Key.ID
	var err error
	switch n := r.IntN(20); {
	case n < 8 && id != "":
		patch := keys.KeyPatch{PolicyPatch: s.policy(), Permissions: some(r, []string{"*"}, []string{}, []string{"view:api-keys"}),
			Name: some(r, "a", "b")}
		if r.IntN(3) == 0 {
			patch.MCPShadow = keys.ShadowPatch{Set: true, Value: s.policy()}
		}
		_, err = w.svc.UpdateKey(ctx, w.op, id, patch)
	case n < 9 && id != "":
		_, err = w.svc.UpdateKey(ctx, w.op, id, keys.KeyPatch{Enabled: keys.Some(false)})
		_, err2 := w.svc.UpdateKey(ctx, w.op, id, keys.KeyPatch{Enabled: keys.Some(true)})
		err = errors.Join(err, err2)
	case n < 11 && id != "":
		_, err = w.svc.ToggleKey(ctx, w.op, id, 0)
	case n < 12 && id != "":
		_, err = w.svc.RotateKey(ctx, w.op, id, keys.Rotation{Grace: time.Hour})
	case n < 13:
		_, err = w.svc.UpdatePreset(ctx, w.op, keys.NewPreset{Name: oneOf(r, "x", "y"),
			Permissions: oneOf(r, []string{"mcp:*"}, []string{"mcp:tools"}, []string{}),
			MaxEffect:   oneOf(r, policy.EffectRead, policy.EffectWrite, policy.EffectDestructive)}, 0)
	case n < 14:
		on := r.IntN(3) > 0
		_, err = w.svc.UpdateTenant(ctx, w.op, keys.TenantPatch{MCPEnabled: keys.Some(on)})
		s.call(r)
		if err == nil && !on {
			_, err = w.svc.UpdateTenant(ctx, w.op, keys.TenantPatch{MCPEnabled: keys.Some(true)})
		}
	case n < 15:
		_, err = w.svc.UpdateTenant(ctx, w.op, keys.TenantPatch{JWTPolicy: keys.Some(s.policy())})
	case n < 17:
		_, err = w.svc.UpdateInstance(ctx, w.op, oneOf(r, s.instances...).ID, s.instance())
	case n < 18:
		s.mint(id)
	case n < 19:
		s.upstream.setTools(tool("r", oneOf(r, "r", "w")), tool("w", "w"), tool("d", "d"))
	default:
		w.clock.Advance(time.Duration(r.IntN(200)) * time.Millisecond)
	}
	if errors.Is(err, keys.ErrRevoked) {
		err = nil
	}
	var conflict *keys.ConflictError
	if errors.As(err, &conflict) { // the key has expired
		err = nil
	}
	return err
}

func (s *schedule) policy() keys.PolicyPatch {
	r := s.r
	return keys.PolicyPatch{
		MCPActive: some(r, true, true, false), MCPReadOnly: some(r, true, false),
		MCPPreset:        some(r, policy.PresetFullAccess, policy.PresetStandard, policy.PresetReadOnly, policy.PresetCustom, "x", "y"),
		MCPPermissions:   some(r, policy.Unlimited(), policy.Only("mcp:tools", "mcp:keys"), policy.Only("mcp:own"), policy.Only()),
		MCPAllowlistMode: some(r, policy.ModeAll, policy.ModeAllow, policy.ModeDeny),
		MCPToolAllowlist: some(r, []string{"a1__*", "whoami"}, []string{"@tools"}, []string{"*/r", "b2/*"}, []string{}),
		MCPProjectIDs:    some(r, policy.Unlimited(), policy.Only(s.project.ID), policy.Only()),
		MCPInstanceIDs:   some(r, policy.Unlimited(), policy.Only(s.instances[0].ID), policy.Only(s.instances[1].ID)),
		MCPArgumentRules: some(r, nil, nil, []policy.ArgumentRule{{Tool: "a1/r", Pointer: "/p", Allow: []string{"x*"}}}),
		MCPApprovals:     some(r, nil, nil, []policy.ApprovalRule{{Tool: "a1/*", Effect: policy.EffectWrite}}, []policy.ApprovalRule{{Tool: "a1/x:a", Effect: policy.EffectRead}}),
		MCPLimits:        some(r, nil, nil, []policy.RateLimit{{Tool: "b2/*", Requests: 1, Per: policy.PerHour}}, []policy.RateLimit{{Tool: "a1/x:a", Requests: 1, Per: policy.PerHour}}),
	}
}

func (s *schedule) instance() keys.InstanceSpec {
	r := s.r
	rules := []keys.ToolRule{{Match: "w", Category: "own", Effect: policy.EffectRead}, {Match: "*", Category: "own"}}
	return keys.InstanceSpec{WriteEnabled: some(r, true, false), TrustAnnotations: some(r, true, false),
		ProjectID: some(r, s.project.ID, s.instances[0].ProjectID), Tools: some(r, rules[:1], rules[1:], nil)}
}

// call asks for something, now and then in a session that narrowed itself.
func (s *schedule) call(r *rand.Rand) {
	k, path := s.any(r), "/mcp"
	if r.IntN(4) == 0 {
		path = oneOf(r, "/mcp?readonly=true", "/mcp?instances=b2", "/mcp?categories=own")
	}
	name := oneOf(r, "a1__r", "a1__w", "a1__d", "b2__r", "b2__w", "a1__nope", "whoami", "list_api_keys", "list_projects", "revoke_api_key")
	switch r.IntN(8) {
	case 0:
		s.w.modern(k, path, "prompts/get", `"name":`+quoted(oneOf(r, "a1__p", "a1__nope")))
	case 1:
		s.w.modern(k, path, "resources/read", `"uri":`+quoted(oneOf(r, "x:a", "x:t/1", "x:unlisted", "x:%61", "X:a")))
	case 2:
		a := s.w.post(path, initialize, auth(k)...)
		if id := a.header.Get("Mcp-Session-Id"); id != "" {
			s.w.post(path, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":`+quoted(name)+`,"arguments":{}}}`,
				append(auth(k), "Mcp-Session-Id", id)...)
			s.w.do("DELETE", path, nil, append(auth(k), "Mcp-Session-Id", id)...)
		}
	default:
		s.w.modern(k, path, "tools/call", `"name":`+quoted(name)+`,"arguments":{}`)
	}
}

// failed counts, by rule, what was denied in the trail; "" what was allowed.
func (s *schedule) failed() map[string]int {
	count := map[string]int{}
	q := keys.AuditQuery{Limit: 1000}
	for {
		page, err := s.w.svc.AuditEvents(s.w.t.Context(), s.w.op, q)
		must(s.w.t, err)
		for _, e := range page {
			if e.Seen == "" {
				continue
			}
			for _, rule := range append(slices.Clone(e.Failed), e.Decision) {
				count[rule]++
			}
		}
		if len(page) < q.Limit {
			return count
		}
		q.Before = page[len(page)-1].ID
	}
}
