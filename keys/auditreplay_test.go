package keys_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// asked is what a gateway records of a principal's request for a tool: the
// decision as of now.
func (h *house) asked(p keys.Principal, tool *policy.Tool) keys.AuditEntry {
	now := h.svc.Now().Truncate(time.Microsecond)
	d := p.Grant().Decide(nil, tool, now)
	e := keys.AuditEntry{TenantID: p.TenantID(), Kind: "decision", Action: "tools/call", Actor: p.Actor(), KeyID: p.KeyID(),
		Decision: "deny", Time: now, Epoch: p.Epoch(), Seen: keys.SeenOf(tool)}
	if tool != nil {
		e.Subject = tool.ID
	}
	for _, rule := range d.Failed() {
		e.Failed = append(e.Failed, rule.String())
	}
	if d.Allowed() {
		e.Kind, e.Decision, e.Outcome, e.Latency = "call", "allow", "ok", 1500*time.Microsecond
		e.Time = now.Add(e.Latency)
	}
	return e
}

func (h *house) record(entries ...keys.AuditEntry) {
	h.t.Helper()
	for _, e := range entries {
		if err := h.svc.Record(h.ctx, e); err != nil {
			h.t.Fatal(err)
		}
	}
	h.flush()
}

// flush writes what is recorded.
func (h *house) flush() {
	h.t.Helper()
	if err := keys.FlushTrail(h.ctx, h.svc); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) replay(q keys.ReplayQuery) (keys.Replay, []keys.ReplayDifference) {
	h.t.Helper()
	var all []keys.ReplayDifference
	got, err := h.svc.ReplayAudit(h.ctx, h.op, q, func(d keys.ReplayDifference) error {
		all = append(all, d)
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return got, all
}

var writer = &policy.Tool{ID: "a1/w", Name: "a1__w", Category: "tools", Effect: policy.EffectWrite, InstanceID: "i1", ProjectID: "p1", WriteEnabled: true}

// TestEpochIsThatOfTheSnapshot: a principal says the edit as of which its rights
// were read, also in a process that has not heard of it yet.
func TestEpochIsThatOfTheSnapshot(t *testing.T) {
	h := newHouse(t)
	other := h.service()
	issued := h.mint(h.op, keys.NewKey{PolicyPatch: full()})
	h.jwtPolicy(full())
	at, err := h.store.Epoch(h.ctx)
	if err != nil {
		t.Fatal(err)
	}
	p, err := other.Authenticate(h.ctx, issued.Secret)
	if err != nil || p.Epoch() != at {
		t.Errorf("the key's %d, want %d, %v", p.Epoch(), at, err)
	}
	if p, err = other.Subject(h.ctx, h.claims()); err != nil || p.Epoch() != at {
		t.Errorf("the subject's %d, want %d, %v", p.Epoch(), at, err)
	}
}

// TestReplayTellsWhatWasChanged: an entry that says another decision, rule, tool,
// edit or key than there was comes out otherwise.
func TestReplayTellsWhatWasChanged(t *testing.T) {
	h := newHouse(t)
	issued := h.mint(h.op, keys.NewKey{PolicyPatch: full()})
	allowed := h.asked(h.login(issued.Secret), writer)
	if _, err := h.svc.UpdateKey(h.ctx, h.op, issued.Key.ID, keys.KeyPatch{PolicyPatch: keys.PolicyPatch{MCPReadOnly: keys.Some(true)}}); err != nil {
		t.Fatal(err)
	}
	denied := h.asked(h.login(issued.Secret), writer)
	h.record(allowed, denied)
	if got, all := h.replay(keys.ReplayQuery{}); got.Same != 2 || len(all) != 0 {
		t.Fatalf("untouched: %+v %+v", got, all)
	}
	for name, change := range map[string]struct {
		entry keys.AuditEntry
		edit  func(e *keys.AuditEntry)
		want  []string // as replayed
	}{
		"allowed and was not": {denied, func(e *keys.AuditEntry) { e.Decision, e.Failed = "allow", nil }, []string{"readonly"}},
		"the word alone":      {denied, func(e *keys.AuditEntry) { e.Decision = "allow" }, []string{"readonly"}},
		"denied and was not":  {allowed, func(e *keys.AuditEntry) { e.Decision, e.Failed = "deny", []string{"readonly"} }, nil},
		"another rule":        {denied, func(e *keys.AuditEntry) { e.Failed = []string{"allowlist"} }, []string{"readonly"}},
		"one rule more":       {denied, func(e *keys.AuditEntry) { e.Failed = append(e.Failed, "allowlist") }, []string{"readonly"}},
		"another edit":        {denied, func(e *keys.AuditEntry) { e.Epoch-- }, nil},
		"another effect":      {denied, func(e *keys.AuditEntry) { e.Seen = `{"category":"tools","effect":"read"}` }, nil},
		"an unknown tool":     {allowed, func(e *keys.AuditEntry) { e.Seen = keys.SeenOf(nil) }, []string{"tool.unknown"}},
		"before it was made":  {allowed, func(e *keys.AuditEntry) { e.Epoch = 1 }, nil},
		"of no key":           {allowed, func(e *keys.AuditEntry) { e.Actor, e.KeyID = "operator", "" }, nil},
		"of a key never made": {allowed, func(e *keys.AuditEntry) { e.KeyID = "nobody" }, nil},
		"no JSON":             {allowed, func(e *keys.AuditEntry) { e.Seen = "{" }, nil},
		"a rule of calls, and one that did not fail": {allowed, func(e *keys.AuditEntry) {
			e.Decision, e.Failed = "deny", []string{"readonly", "rate.limited"}
		}, []string{"rate.limited"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, before := h.replay(keys.ReplayQuery{})
			e := change.entry
			e.Failed = slices.Clone(e.Failed)
			change.edit(&e)
			h.record(e)
			_, all := h.replay(keys.ReplayQuery{})
			if len(all) != len(before)+1 {
				t.Fatalf("%d differences, want one more than %d", len(all), len(before))
			}
			d := all[len(all)-1]
			if !slices.Equal(d.Failed, change.want) || d.Problem == "" && (d.Decision == "allow") != (len(change.want) == 0) {
				t.Errorf("as replayed: %+v", d)
			}
		})
	}
}

// TestReplaySkips: what can't be decided again is counted, by why, and nothing else.
func TestReplaySkips(t *testing.T) {
	h := newHouse(t)
	open := full()
	open.MCPActive = keys.Some(true)
	h.jwtPolicy(open)
	p := h.as(keys.NewKey{PolicyPatch: full()})
	alice := h.subject()
	builtin := &policy.Tool{ID: "bailiwick/list_api_keys", Name: "list_api_keys", Category: "keys", Effect: policy.EffectRead, Permission: "view:api-keys"}
	before := h.asked(p, writer)
	before.Seen = ""
	token := h.asked(p, writer)
	token.Subject = "a1/" + h.mint(h.op, keys.NewKey{}).Secret.Reveal()
	limited := h.asked(p, writer)
	limited.Kind, limited.Decision, limited.Failed = "decision", "deny", []string{"rate.limited"}
	narrowed := h.asked(p, writer)
	narrowed.Kind, narrowed.Decision, narrowed.Failed = "decision", "deny", []string{"session.narrowed"}
	if _, err := h.svc.Projects(h.ctx, p); !isDenied(err) { // recorded as a decision
		t.Fatal(err)
	}
	lacks := h.asked(alice, builtin)
	if !slices.Equal(lacks.Failed, []string{"permission.missing"}) {
		t.Fatalf("the JWT has no permissions, and %v", lacks.Failed)
	}
	h.record(before, token, limited, narrowed, lacks, h.asked(h.subject("view:api-keys"), builtin), h.asked(alice, nil))
	got, all := h.replay(keys.ReplayQuery{})
	want := map[keys.ReplaySkip]int64{keys.SkipUnseen: 2, keys.SkipCallTime: 1, keys.SkipNotMCP: 1}
	for _, skip := range keys.ReplaySkips {
		if got.Skipped[skip] != want[skip] {
			t.Errorf("%s: %d, want %d", skip, got.Skipped[skip], want[skip])
		}
	}
	if got.Same != 4 || len(all) != 0 {
		t.Errorf("%+v %+v", got, all)
	}
	if got, _ := h.replay(keys.ReplayQuery{KeyID: p.KeyID()}); got.Same != 1 {
		t.Errorf("of one key: %+v", got)
	}
	if got, _ := h.replay(keys.ReplayQuery{Since: h.svc.Now().Add(time.Hour)}); got.Same+got.Skipped[keys.SkipUnseen] != 0 {
		t.Errorf("from then on: %+v", got)
	}
	if _, err := h.svc.ReplayAudit(h.ctx, p, keys.ReplayQuery{}, nil); !isDenied(err) {
		t.Errorf("without view:audit: %v", err)
	}
	stop := errors.New("enough")
	lacks.Decision = "allow"
	h.record(lacks)
	if _, err := h.svc.ReplayAudit(h.ctx, h.op, keys.ReplayQuery{}, func(keys.ReplayDifference) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
}

// TestReplayOfRulesForCalls: whether a rule for calls alone failed is never claimed
// to be as recorded; that there was such a rule at all is known.
func TestReplayOfRulesForCalls(t *testing.T) {
	h := newHouse(t)
	one, err := h.svc.CreateProject(h.ctx, h.op, keys.NewProject{Slug: "one", Name: "One"})
	if err != nil {
		t.Fatal(err)
	}
	key := func(edit func(*keys.PolicyPatch)) keys.Principal {
		pp := full()
		edit(&pp)
		return h.as(keys.NewKey{PolicyPatch: pp})
	}
	plain := key(func(*keys.PolicyPatch) {})
	held := key(func(pp *keys.PolicyPatch) {
		pp.MCPArgumentRules = keys.Some([]policy.ArgumentRule{{Tool: "a1/w", Pointer: "/p", Allow: []string{"x"}}})
	})
	limited := key(func(pp *keys.PolicyPatch) {
		pp.MCPLimits = keys.Some([]policy.RateLimit{{Tool: "a1/w", Requests: 9, Per: policy.PerDay}})
	})
	approved := key(func(pp *keys.PolicyPatch) {
		pp.MCPApprovals = keys.Some([]policy.ApprovalRule{{Tool: "*", Effect: policy.EffectWrite}})
	})
	spelled := key(func(pp *keys.PolicyPatch) {
		pp.MCPApprovals = keys.Some([]policy.ApprovalRule{{Tool: "a1/w", Effect: policy.EffectRead}})
	})
	confined := key(func(pp *keys.PolicyPatch) { pp.MCPProjectIDs = keys.Some(policy.Only(one.ID)) })
	reader, project, elsewhere := *writer, *writer, *writer
	reader.ID, reader.Name, reader.Effect = "a1/r", "a1__r", policy.EffectRead
	project.ProjectID, elsewhere.ProjectID = one.ID, one.ID
	project.ProjectPointer = "/project"
	const same, skipped, different = "same", "skipped", "different"
	for name, row := range map[string]struct {
		who    keys.Principal
		tool   *policy.Tool
		action string // else tools/call
		failed string // recorded in place of what failed
		want   string
	}{
		"allowed, and nothing is demanded":              {plain, writer, "", "", same},
		"allowed, with a rule for arguments":            {held, writer, "", "", skipped},
		"allowed, with a rule for another's arguments":  {held, &reader, "", "", same},
		"a uri, with a rule for another's arguments":    {held, &reader, "resources/read", "", skipped},
		"a uri, which another spelling has approved":    {spelled, &reader, "resources/read", "approval.required", skipped},
		"a uri that passed, with another's approval":    {spelled, &reader, "resources/read", "", skipped},
		"a tool, with another's approval":               {spelled, &reader, "", "approval.required", different},
		"a uri that passed, with another's limit":       {limited, &reader, "resources/read", "", skipped},
		"news of a uri, which nobody approves":          {spelled, &reader, "resources/subscribe", "", same},
		"allowed, with a limit":                         {limited, writer, "", "", skipped},
		"allowed, with a limit for another":             {limited, &reader, "", "", same},
		"allowed, with an approval":                     {approved, writer, "", "", skipped},
		"allowed, below what must be approved":          {approved, &reader, "", "", same},
		"a task's state, with an approval":              {approved, writer, "tasks/get", "", same},
		"allowed, where an argument names the project":  {confined, &project, "", "", skipped},
		"allowed, where no argument names the project":  {confined, &elsewhere, "", "", same},
		"denied by another rule, with one for calls":    {held, nil, "", "", same},
		"denied by arguments":                           {held, writer, "", "argument.not_allowed", skipped},
		"denied by arguments of which no rule speaks":   {plain, writer, "", "argument.not_allowed", different},
		"denied for approval":                           {approved, writer, "", "approval.required", skipped},
		"denied for approval that no rule asks for":     {approved, &reader, "", "approval.required", different},
		"denied by a limit":                             {limited, writer, "", "rate.limited", skipped},
		"denied by how much may run, for every key":     {plain, writer, "", "rate.limited", skipped},
		"denied by arguments, of a tool that is hidden": {held, nil, "", "argument.not_allowed", different},
	} {
		t.Run(name, func(t *testing.T) {
			before, _ := h.replay(keys.ReplayQuery{})
			e := h.asked(row.who, row.tool)
			if row.action != "" {
				e.Action = row.action
			}
			if row.failed != "" {
				e.Kind, e.Decision, e.Failed, e.Outcome, e.Time, e.Latency = "decision", "deny", []string{row.failed}, "", e.Time.Add(-e.Latency), 0
			}
			h.record(e)
			after, _ := h.replay(keys.ReplayQuery{})
			got := map[string]int64{same: after.Same - before.Same, different: after.Different - before.Different,
				skipped: after.Skipped[keys.SkipCallTime] - before.Skipped[keys.SkipCallTime]}
			for outcome, n := range got {
				if (n == 1) != (outcome == row.want) {
					t.Errorf("want %s, got %v", row.want, got)
				}
			}
		})
	}
}

// TestReplayAtTheEdgeOfExpiry: a decision of the very moment at which a key ends is
// made again at that moment, whatever the call took.
func TestReplayAtTheEdgeOfExpiry(t *testing.T) {
	h := newHouse(t)
	at := h.clock.Now().Add(time.Minute)
	issued := h.mint(h.op, keys.NewKey{PolicyPatch: full(), ExpiresAt: &at})
	p := h.login(issued.Secret)
	for _, ahead := range []time.Duration{time.Minute - time.Microsecond, time.Microsecond - 1, 1, time.Microsecond} {
		h.clock.Advance(ahead)
		h.record(h.asked(p, writer))
	}
	got, all := h.replay(keys.ReplayQuery{})
	if got.Same != 4 || len(all) != 0 {
		t.Errorf("%+v %+v", got, all)
	}
}

// TestReplayAfterRetention: of what the trail has left, and the store, decisions are
// made again; what is known of neither is counted, not guessed.
func TestReplayAfterRetention(t *testing.T) {
	h := newHouse(t)
	preset := keys.NewPreset{Name: "x", Permissions: []string{"mcp:*"}, MaxEffect: policy.EffectWrite}
	if _, err := h.svc.CreatePreset(h.ctx, h.op, preset); err != nil {
		t.Fatal(err)
	}
	parent := h.mint(h.op, keys.NewKey{PolicyPatch: full()})
	child := h.mint(h.op, keys.NewKey{PolicyPatch: keys.PolicyPatch{MCPPreset: keys.Some("x"), MCPReadOnly: keys.Some(false)},
		ParentKeyID: parent.Key.ID, ExpiresWithParent: true})
	old := h.asked(h.login(child.Secret), writer) // recorded late, by a server that had been cut off
	readOnly := func(on bool) {
		t.Helper()
		_, err := h.svc.UpdateKey(h.ctx, h.op, parent.Key.ID, keys.KeyPatch{PolicyPatch: keys.PolicyPatch{MCPReadOnly: keys.Some(on)}})
		if err != nil {
			t.Fatal(err)
		}
	}
	readOnly(true)
	older := h.asked(h.login(child.Secret), writer) // as old: which came first, the trail has no more
	h.clock.Advance(48 * time.Hour)
	if n, err := h.svc.PruneAudit(h.ctx, h.op, h.svc.Now().Add(-time.Hour), false); err != nil || n < 5 {
		t.Fatalf("pruned %d, %v", n, err)
	}
	h.record(h.asked(h.login(child.Secret), writer))
	readOnly(false)
	h.record(h.asked(h.login(child.Secret), writer))
	preset.MaxEffect = policy.EffectRead
	if _, err := h.svc.UpdatePreset(h.ctx, h.op, preset, 0); err != nil {
		t.Fatal(err)
	}
	h.record(h.asked(h.login(child.Secret), writer))
	got, all := h.replay(keys.ReplayQuery{})
	if got.Same != 3 || len(all) != 0 || got.Skipped[keys.SkipCut] != 0 {
		t.Errorf("%+v %+v", got, all)
	}
	h.record(old, older)
	got, all = h.replay(keys.ReplayQuery{})
	if got.Same != 4 || len(all) != 0 || got.Skipped[keys.SkipCut] != 1 {
		t.Errorf("with entries of before: %+v %+v", got, all)
	}
	wrong := h.asked(h.login(child.Secret), writer)
	wrong.Decision, wrong.Failed = "allow", nil
	h.record(wrong)
	if got, all = h.replay(keys.ReplayQuery{}); len(all) != 1 || got.Different != 1 {
		t.Errorf("what is wrong goes through for cut: %+v %+v", got, all)
	}
}
