package mcp_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// explained are the tools that a key's matrix allows. It holds the matrix to the
// decisions of the key's grant.
func (w *world) explained(keyID string) []string {
	w.t.Helper()
	st, err := w.svc.Standing(w.t.Context(), w.op, keys.Question{Key: keyID})
	must(w.t, err)
	offer, err := w.gw.Offer(w.t.Context(), w.op)
	must(w.t, err)
	m := wire.MatrixOf(&st, offer)
	if len(m.Tools) != len(offer.Items) || m.Summary.Allowed+m.Summary.Denied != len(m.Tools) || len(m.Tools) < 13 {
		w.t.Fatalf("%d on offer, explained %d, in sum %+v", len(offer.Items), len(m.Tools), m.Summary)
	}
	names := []string{}
	for i, tool := range m.Tools {
		d := st.Grant.Decide(nil, &offer.Items[i].Tool, st.At)
		if (tool.Decision == "allow") != d.Allowed() || tool.Name != offer.Items[i].Tool.Name {
			w.t.Fatalf("%+v is decided %v", tool, d.Failed())
		}
		if tool.Decision == "allow" && tool.Kind == "tool" {
			names = append(names, tool.Name)
		}
	}
	return names
}

// TestStoredOffer: what a process that mounts nothing finds in the store is what
// the gateway beside it has on offer.
func TestStoredOffer(t *testing.T) {
	w, _, k := kindsWorld(t)
	_, err := w.svc.UpdateInstance(t.Context(), w.op, "a2", keys.InstanceSpec{Enabled: keys.Some(false)})
	must(t, err)
	w.until("the instance is gone", func() bool {
		offer, err := w.gw.Offer(t.Context(), w.op)
		return err == nil && offer.Find("a2__t") == nil
	})
	running, err := w.gw.Offer(t.Context(), w.op)
	must(t, err)
	stored, err := w.gw.StoredOffer(t.Context(), w.op)
	must(t, err)
	if !reflect.DeepEqual(running.Items, stored.Items) || running.Version != stored.Version || len(running.Version) != 16 {
		t.Errorf("running %+v\nstored %+v", running, stored)
	}
	for _, name := range []string{"a1__t", "a1/t", "whoami", "bailiwick/whoami", "a1/x:a1", "a1/x:not/listed", "b2__x:no", "c3__t", "a2/x:y", "a1/nope", "x:a1", ""} {
		one, other := running.Find(name), stored.Find(name)
		if !reflect.DeepEqual(one, other) {
			t.Errorf("%q: running %+v, stored %+v", name, one, other)
		}
		if known := !slices.Contains([]string{"c3__t", "a2/x:y", "a1/nope", "x:a1", ""}, name); known != (one != nil) {
			t.Errorf("%q: %+v", name, one)
		}
	}
	if less := running.Without(func(t *policy.Tool) bool { return strings.HasPrefix(t.ID, "a1/") }); less.Version == running.Version ||
		less.Find("a1__t") != nil || less.Find("a1/x:not/listed") != nil || less.Find("b2__t") == nil {
		t.Errorf("without an instance: %+v", less)
	}
	if len(w.explained(k.Key.ID)) == 0 {
		t.Error("the key may use nothing")
	}
}

// TestAskingChangesNothing: explaining reaches no upstream, uses no epoch and
// leaves nothing in the trail.
func TestAskingChangesNothing(t *testing.T) {
	w, ups, k := kindsWorld(t)
	soon := time.Now().Add(time.Hour)
	_, err := w.svc.CreateKey(t.Context(), w.op, keys.NewKey{Name: "short", ExpiresAt: &soon})
	must(t, err)
	calls := func() (n int) {
		for _, up := range ups {
			n += len(up.seen()) + up.initialized()
		}
		return n
	}
	epoch := func() int64 {
		at, err := w.store.Epoch(t.Context())
		must(t, err)
		return at
	}
	// What was recorded before a mark is in the trail when the mark is.
	trail := func() int {
		mark := uuid.NewString()
		must(t, w.svc.Record(t.Context(), keys.AuditEntry{TenantID: w.op.TenantID(), Kind: "decision", Action: "mark", Decision: "allow", Ref: mark}))
		w.until("the mark is in the trail", func() bool {
			found, err := w.svc.AuditEvents(t.Context(), w.op, keys.AuditQuery{Ref: mark})
			return err == nil && len(found) == 1
		})
		all, err := w.svc.AuditEvents(t.Context(), w.op, keys.AuditQuery{Limit: 1000})
		must(t, err)
		return len(all)
	}
	before, called, recorded := epoch(), calls(), trail()
	offer, err := w.gw.Offer(t.Context(), w.op)
	must(t, err)
	w.explained(k.Key.ID)
	draft := &keys.Draft{PolicyPatch: keys.PolicyPatch{MCPReadOnly: keys.Some(false), MCPPreset: keys.Some("full_access")}}
	for _, q := range []keys.Question{{}, {Key: "short", At: soon}, {Key: k.Key.ID, Draft: draft}, {Draft: draft}, {Key: k.Key.ID, Version: k.Key.Version}} {
		st, err := w.svc.Standing(t.Context(), w.op, q)
		must(t, err)
		wire.ExplanationOf(&st, offer, "a1__t")
	}
	if n := trail(); before == 0 || epoch() != before || calls() != called || n != recorded+1 {
		t.Errorf("epoch %d was %d, %d calls were %d, %d entries were %d and a mark", epoch(), before, calls(), called, n, recorded)
	}
}
