package keys_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// shadowed records calls of a key, one for each text: the tool, and what the
// draft of the key has of it.
func (h *house) shadowed(k keys.Key, calls ...[2]string) (ids []string) {
	h.t.Helper()
	var entries []keys.AuditEntry
	for n, c := range calls {
		h.clock.Advance(time.Minute)
		e := keys.AuditEntry{ID: fmt.Sprintf("%s-%d-%02d", k.Handle, h.clock.Now().Unix(), n), Writer: "w", TenantID: k.TenantID, Kind: "call", Decision: "allow",
			Action: "tools/call", KeyID: k.ID, Subject: "notes/" + c[0], Tool: "notes__" + c[0], Time: h.clock.Now()}
		if c[1] != "" {
			e.Detail = json.RawMessage(`{"shadow":` + c[1] + `}`)
		}
		if c[1] == `{"decision":"allow"}` {
			e.Kind, e.Decision, e.Ref = "decision", "deny", fmt.Sprintf("ref%d", n)
		}
		entries, ids = append(entries, e), append(ids, e.ID)
	}
	if err := h.store.AppendAudit(h.ctx, entries); err != nil {
		h.t.Fatal(err)
	}
	return ids
}

const (
	byReadOnly  = `{"decision":"deny","failed":["readonly"]}`
	byAllowlist = `{"decision":"deny","failed":["readonly","allowlist"]}`
	byNothing   = `{"decision":"allow"}`
)

// A report puts together what the draft decides otherwise, with the newest calls.
func TestShadowReport(t *testing.T) {
	h := newHouse(t)
	k := h.mint(h.op, keys.NewKey{Name: "k", PolicyPatch: full(), MCPShadow: keys.Some(keys.PolicyPatch{MCPReadOnly: keys.Some(true)})}).Key
	child := h.mint(h.op, keys.NewKey{Name: "child", ParentKeyID: k.ID, PolicyPatch: full()}).Key
	ids := h.shadowed(k, [2]string{"drop", byReadOnly}, [2]string{"read"}, [2]string{"drop", byAllowlist}, [2]string{"drop", byReadOnly},
		[2]string{"drop", byReadOnly}, [2]string{"ask", byNothing})
	h.shadowed(child, [2]string{"drop", byReadOnly})
	listed := keys.AuditEntry{ID: "listed", Writer: "w", TenantID: k.TenantID, Kind: "decision", Decision: "deny", Action: "tools/list", KeyID: k.ID, Time: h.clock.Now()}
	if err := h.store.AppendAudit(h.ctx, []keys.AuditEntry{listed}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{k.ID, k.Handle} {
		got, err := h.svc.Shadow(h.ctx, h.op, name, 1)
		if err != nil {
			t.Fatal(err)
		}
		if got.Key.ID != k.ID || got.Calls != 6 || len(got.Differences) != 2 || got.Truncated || got.Days != 1 {
			t.Fatalf("%+v", got)
		}
		drop, ask := got.Differences[0], got.Differences[1]
		var examples []string
		for _, e := range drop.Examples {
			examples = append(examples, e.ID)
		}
		if drop.ID != "notes/drop" || drop.Kind != keys.KindTool || drop.Decision != keys.ShadowDeny || drop.Count != 4 ||
			!slices.Equal(drop.Failed, []string{"readonly", "allowlist"}) || !slices.Equal(examples, []string{ids[4], ids[3], ids[2]}) ||
			!drop.Last.Equal(drop.Examples[0].Time) {
			t.Errorf("%+v", drop)
		}
		if ask.ID != "notes/ask" || ask.Decision != keys.ShadowAllow || ask.Count != 1 || ask.Examples[0].Ref != "ref5" || len(ask.Failed) != 0 {
			t.Errorf("%+v", ask)
		}
	}
}

// What was compared with another draft, or with another policy, counts no more; a
// pause, a limit or a name makes no other comparison.
func TestShadowReportBeginsAnew(t *testing.T) {
	readOnly, another := keys.PolicyPatch{MCPReadOnly: keys.Some(true)}, keys.PolicyPatch{MCPPreset: keys.Some("standard")}
	for name, c := range map[string]struct {
		patch keys.KeyPatch
		anew  bool
	}{
		"another draft":  {keys.KeyPatch{MCPShadow: keys.Some(another)}, true},
		"another policy": {keys.KeyPatch{PolicyPatch: another}, true},
		"the same draft": {keys.KeyPatch{MCPShadow: keys.Some(readOnly), Name: keys.Some("x")}, false},
		"a pause":        {keys.KeyPatch{PolicyPatch: keys.PolicyPatch{MCPActive: keys.Some(false)}}, false},
		"limits":         {keys.KeyPatch{PolicyPatch: keys.PolicyPatch{MCPLimits: keys.Some(someLimits)}}, false},
		"a name":         {keys.KeyPatch{Name: keys.Some("other")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			k := h.mint(h.op, keys.NewKey{Name: "k", PolicyPatch: full()}).Key
			h.shadowed(k, [2]string{"drop"})
			h.clock.Advance(time.Minute)
			k = mustDo(h.svc.UpdateKey(h.ctx, h.op, k.ID, keys.KeyPatch{MCPShadow: keys.Some(readOnly)}))(t)
			set := k.UpdatedAt
			h.shadowed(k, [2]string{"drop", byReadOnly})
			h.clock.Advance(time.Minute)
			changed := mustDo(h.svc.UpdateKey(h.ctx, h.op, k.ID, c.patch))(t)
			since, count := set, 1
			if c.anew {
				since, count = changed.UpdatedAt, 0
			}
			got, err := h.svc.Shadow(h.ctx, h.op, k.ID, 30)
			if err != nil || !got.Since.Equal(since) || got.Calls != count || len(got.Differences) != count {
				t.Errorf("%v: since %v, want %v: %d calls, %v", err, got.Since, since, got.Calls, got.Differences)
			}
			h.clock.Advance(48 * time.Hour)
			if got, err := h.svc.Shadow(h.ctx, h.op, k.ID, 1); err != nil || got.Calls != 0 || !got.Since.Equal(h.clock.Now().AddDate(0, 0, -1)) {
				t.Errorf("later: %v, %+v", err, got)
			}
		})
	}
}

func TestShadowReportIsRefused(t *testing.T) {
	h := newHouse(t)
	k := h.mint(h.op, keys.NewKey{Name: "k", PolicyPatch: full()}).Key
	for _, permissions := range [][]string{{"view:audit"}, {"view:api-keys"}} {
		asker := h.as(keys.NewKey{Permissions: keys.Some(permissions), PolicyPatch: full()})
		if err := errOf(h.svc.Shadow(h.ctx, asker, k.ID, 1)); !isDenied(err) {
			t.Errorf("with %v: %v", permissions, err)
		}
	}
	for _, days := range []int{0, keys.MaxUseDays + 1} {
		if err := errOf(h.svc.Shadow(h.ctx, h.op, k.ID, days)); !slices.Equal(fieldsOf(err), []string{"days"}) {
			t.Errorf("%d days: %v", days, err)
		}
	}
	h.shadowed(k, [2]string{"drop", byReadOnly}) // of a draft that is gone
	got, err := h.svc.Shadow(h.ctx, h.op, k.ID, 1)
	if err != nil || got.Key.Shadow != nil || got.Calls != 0 || len(got.Differences) != 0 {
		t.Errorf("without a draft: %v, %+v", err, got)
	}
}

// The draft is compiled with what its preset is now, and dropped with what it hangs on.
func TestDraftIsOfNow(t *testing.T) {
	h := newHouse(t)
	mustDo(h.svc.CreatePreset(h.ctx, h.op, keys.NewPreset{Name: "own", Permissions: []string{"mcp:tools"}, MaxEffect: policy.EffectRead}))(t)
	issued := h.mint(h.op, keys.NewKey{Name: "k", PolicyPatch: full(), MCPShadow: keys.Some(keys.PolicyPatch{MCPPreset: keys.Some("own")})})
	drop := aTool(h.instance("notes"), keys.KindTool, "drop", policy.EffectDestructive).Tool
	draft := func() []policy.Rule {
		p := h.login(issued.Secret)
		if d := p.Grant().Decide(nil, &drop, h.clock.Now()); !d.Allowed() {
			t.Errorf("the live policy denies by %v", d.Failed())
		}
		grant, has := p.Draft()
		if !has {
			return nil
		}
		return append([]policy.Rule{}, grant.Decide(nil, &drop, h.clock.Now()).Failed()...)
	}
	if got := draft(); !slices.Equal(got, []policy.Rule{policy.RulePreset}) {
		t.Errorf("denied by %v", got)
	}
	mustDo(h.svc.UpdatePreset(h.ctx, h.op, keys.NewPreset{Name: "own", Permissions: []string{"mcp:tools"}, MaxEffect: policy.EffectDestructive}, 0))(t)
	if got := draft(); len(got) != 0 || got == nil {
		t.Errorf("after its preset is widened: %v", got)
	}
	mustDo(h.svc.UpdateKey(h.ctx, h.op, issued.Key.ID, keys.KeyPatch{MCPShadow: keys.Null[keys.PolicyPatch]()}))(t)
	if got := draft(); got != nil {
		t.Errorf("without a draft: %v", got)
	}
}

func mustDo[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
