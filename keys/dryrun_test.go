package keys_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// offered are tools as an offer has them, and one prompt of each instance.
func (w *world) offered() keys.Offer {
	var items []keys.Offered
	for _, t := range w.tools() {
		items = append(items, keys.Offered{Kind: keys.KindTool, Tool: *t})
		if strings.HasSuffix(t.ID, "/read") {
			prompt := *t // of the same id
			prompt.Effect = policy.EffectRead
			items = append(items, keys.Offered{Kind: keys.KindPrompt, Tool: prompt})
		}
	}
	slices.SortStableFunc(items, func(a, b keys.Offered) int { return strings.Compare(b.Kind, a.Kind) })
	return keys.NewOffer(items)
}

// family makes three keys, one below the other, and answers one of the first two.
func (w *world) family() keys.Key {
	n := w.drawKey()
	n.ExpiresAt, n.Enabled, n.Scope = nil, keys.Some(true), keys.Opt[policy.Scope]{}
	if w.flip("wide") {
		n.PolicyPatch = full()
	}
	top := w.mint(w.op, n).Key
	parent := top.ID
	second := w.flip("the second")
	for i := range 2 {
		n := w.drawKey()
		n.ExpiresAt, n.Enabled, n.Scope, n.ParentKeyID = nil, keys.Some(true), keys.Opt[policy.Scope]{}, parent
		if w.flip("wide") {
			n.PolicyPatch = full()
		}
		child := w.mint(w.op, n).Key
		if parent = child.ID; i == 0 && second {
			top = child
		}
	}
	return top
}

func (w *world) drawUpdate() keys.KeyPatch {
	n := w.drawKey()
	patch := keys.KeyPatch{Permissions: n.Permissions, Enabled: n.Enabled, PolicyPatch: n.PolicyPatch}
	if w.flip("widen") {
		patch.PolicyPatch = full()
		patch.MCPAllowlistMode = keys.Some(policy.ModeAll)
	}
	switch rapid.IntRange(0, 20).Draw(w.r, "fault") {
	case 0:
		patch.MCPPreset = keys.Some("nowhere")
	case 1:
		patch.Name = keys.Null[string]()
	case 2:
		patch.MCPInstanceIDs = keys.Some(policy.Only("none"))
	case 3:
		patch.IfVersion = 1
	}
	return patch
}

// everything is all that an edit could leave behind. What a denial leaves is
// told apart: it is recorded, as every other one.
func (w *world) everything() string {
	var b strings.Builder
	epoch, err := w.store.Epoch(w.ctx)
	if err != nil {
		w.r.Fatal(err)
	}
	changes, err := w.store.Changes(w.ctx, 0, 10_000)
	if err != nil {
		w.r.Fatal(err)
	}
	err = w.store.Read(w.ctx, func(r keys.Reader) error {
		all, _, err := r.Keys(w.ctx, "", keys.KeyQuery{IncludeRevoked: true})
		entries, auditErr := r.Audit(w.ctx, w.op.TenantID(), keys.AuditQuery{Limit: 10_000})
		entries = slices.DeleteFunc(entries, func(e keys.AuditEntry) bool { return e.Action == "key.dry_run" })
		fmt.Fprintf(&b, "%d %v %+v %+v", epoch, changes, all, entries)
		return errors.Join(err, auditErr)
	})
	if err != nil {
		w.r.Fatal(err)
	}
	return b.String()
}

// visible are the things on offer that a key may use, by kind and id.
func (w *world) visible(id string, offer keys.Offer) map[string]bool {
	st, err := w.svc.Standing(w.ctx, w.op, keys.Question{Key: id})
	if err != nil {
		w.r.Fatal(err)
	}
	out := map[string]bool{}
	for _, item := range offer.Items {
		catalog, err := policy.NewCatalog([]policy.Tool{item.Tool})
		if err != nil {
			w.r.Fatal(err)
		}
		out[item.Kind+" "+item.Tool.ID] = st.Grant.Visible(nil, catalog, w.clock.Now()).Has(0)
	}
	return out
}

// below are the keys whose chain has the key in it, itself among them.
func (w *world) below(id string) []keys.Key {
	all, _, err := w.svc.Keys(w.ctx, w.op, keys.KeyQuery{})
	if err != nil {
		w.r.Fatal(err)
	}
	in := map[string]bool{id: true}
	for range all {
		for _, k := range all {
			in[k.ID] = in[k.ID] || in[k.ParentKeyID]
		}
	}
	return slices.DeleteFunc(all, func(k keys.Key) bool { return !in[k.ID] })
}

// record has keys ask for what there is, and for what there is not.
func (w *world) record(family []keys.Key, offer keys.Offer) {
	var entries []keys.AuditEntry
	for n := range rapid.IntRange(30, 60).Draw(w.r, "requests") {
		e := keys.AuditEntry{ID: fmt.Sprintf("e%02d", n), Writer: "w", TenantID: w.op.TenantID(), Kind: "call", Decision: "allow", Action: "tools/call",
			KeyID: rapid.SampledFrom(family).Draw(w.r, "asking").ID, Time: w.clock.Now().Add(-time.Duration(rapid.IntRange(0, 5).Draw(w.r, "days")) * 24 * time.Hour)}
		item := rapid.SampledFrom(offer.Items).Draw(w.r, "thing")
		e.Subject, e.Tool = item.Tool.ID, item.Tool.Name
		if item.Kind == keys.KindPrompt {
			e.Action = rapid.SampledFrom([]string{"prompts/get", "completion/complete"}).Draw(w.r, "action")
		}
		if w.flip("denied") {
			e.Kind, e.Decision = "decision", "deny"
			if w.flip("unknown then") {
				e.Subject = ""
			}
		}
		switch rapid.IntRange(0, 6).Draw(w.r, "other") {
		case 0:
			e.Subject, e.Tool = "p1-i0/gone", "p1-i0__gone"
		case 1:
			e.Action, e.Subject, e.Tool = "tools/list", "", ""
		case 2:
			e.KeyID = w.house.first.KeyID()
		}
		entries = append(entries, e)
	}
	if err := w.store.AppendAudit(w.ctx, entries); err != nil {
		w.r.Fatal(err)
	}
}

// replayed is the naive reading: of every recorded request by itself, counts by
// key, kind and id.
func (w *world) replayed(family []keys.Key, before, after map[string]map[string]bool, offer keys.Offer, days int) (denied, allowed map[string]int, unknown int) {
	denied, allowed = map[string]int{}, map[string]int{}
	kinds := map[string]string{"tools/call": keys.KindTool, "prompts/get": keys.KindPrompt, "completion/complete": keys.KindPrompt}
	affected := func(id string) bool {
		return id == family[0].ID || !reflect.DeepEqual(before[id], after[id])
	}
	err := w.store.Read(w.ctx, func(r keys.Reader) error {
		entries, err := r.Audit(w.ctx, w.op.TenantID(), keys.AuditQuery{Limit: 10_000})
		for _, e := range entries {
			if before[e.KeyID] == nil || !affected(e.KeyID) || kinds[e.Action] == "" || e.Time.Before(w.clock.Now().AddDate(0, 0, -days)) {
				continue
			}
			at := ""
			for _, item := range offer.Items {
				if item.Kind == kinds[e.Action] && (item.Tool.ID == e.Subject || e.Subject == "" && item.Tool.Name == e.Tool) {
					at = item.Kind + " " + item.Tool.ID
				}
			}
			was, is := before[e.KeyID][at], after[e.KeyID][at]
			switch {
			case at == "":
				unknown++
			case e.Decision == "allow" && was && !is:
				denied[e.KeyID+" "+at]++
			case e.Decision == "deny" && !was && is:
				allowed[e.KeyID+" "+at]++
			}
		}
		return err
	})
	if err != nil {
		w.r.Fatal(err)
	}
	return denied, allowed, unknown
}

func counted(list []keys.UseEffect) map[string]int {
	out := map[string]int{}
	for _, u := range list {
		out[u.Key.ID+" "+u.Kind+" "+u.Tool.ID] = u.Count
	}
	return out
}

func changed(list []keys.OfferEffect) []string {
	out := []string{}
	for _, e := range list {
		out = append(out, e.Kind+" "+e.Tool.ID)
	}
	slices.Sort(out)
	return out
}

// differing are the things that are visible in one and not in the other.
func differing(in, notIn map[string]bool) []string {
	out := []string{}
	for at, seen := range in {
		if seen && !notIn[at] {
			out = append(out, at)
		}
	}
	slices.Sort(out)
	return out
}

// TestDryRunSaysWhatTheChangeDoes: for any key, change and asker, a dry run does
// nothing, is refused exactly where the change is, and says what is visible after
// it and what the recorded requests would come to.
func TestDryRunSaysWhatTheChangeDoes(t *testing.T) {
	did := map[string]int{}
	rapid.Check(t, func(r *rapid.T) {
		w := newWorld(t, r, map[string]int{})
		if w == nil {
			return
		}
		top := w.family()
		family, offer := w.below(top.ID), w.offered()
		slices.SortStableFunc(family, func(a, b keys.Key) int { return map[bool]int{true: -1, false: 1}[a.ID == top.ID] })
		w.record(family, offer)
		asker := w.op
		switch rapid.IntRange(0, 7).Draw(r, "asker") {
		case 0:
			for _, token := range w.held {
				asker = w.login(token)
			}
		case 1:
			asker = w.as(keys.NewKey{})
		}
		patch, days := w.drawUpdate(), rapid.IntRange(0, 7).Draw(r, "window")

		before := map[string]map[string]bool{}
		for _, k := range family {
			before[k.ID] = w.visible(k.ID, offer)
		}
		was := w.everything()
		effects, dry := w.svc.DryRunUpdate(w.ctx, asker, top.ID, patch, offer, days)
		if is := w.everything(); is != was {
			r.Fatalf("the dry run changed something:\n%s\n%s", was, is)
		}
		_, real := w.svc.UpdateKey(w.ctx, asker, top.ID, patch)
		if fmt.Sprintf("%T %v %+v", dry, dry, details(dry)) != fmt.Sprintf("%T %v %+v", real, real, details(real)) {
			r.Fatalf("the dry run: %v, the change: %v", dry, real)
		}
		if real != nil {
			did["refused"]++
			if !reflect.DeepEqual(effects, keys.Effects{}) {
				r.Fatalf("refused, and answers %+v", effects)
			}
			return
		}
		did["done"]++
		after, children := map[string]map[string]bool{}, 0
		for _, k := range family {
			after[k.ID] = w.visible(k.ID, offer)
			if k.ID != top.ID && !reflect.DeepEqual(before[k.ID], after[k.ID]) {
				children++
			}
		}
		if asker.KeyID() != "" {
			return // what it is told is another test's
		}
		added, removed := differing(after[top.ID], before[top.ID]), differing(before[top.ID], after[top.ID])
		if !slices.Equal(changed(effects.Added), added) || !slices.Equal(changed(effects.Removed), removed) || effects.Children != children {
			r.Fatalf("said %v %v %d, became %v %v %d", changed(effects.Added), changed(effects.Removed), effects.Children, added, removed, children)
		}
		denied, allowed, unknown := w.replayed(family, before, after, offer, days)
		if days == 0 {
			denied, allowed, unknown = map[string]int{}, map[string]int{}, 0
		}
		if !reflect.DeepEqual(counted(effects.NewlyDenied), denied) || !reflect.DeepEqual(counted(effects.NewlyAllowed), allowed) || effects.NotInCatalog != unknown {
			r.Fatalf("said %v %v %d, are %v %v %d", counted(effects.NewlyDenied), counted(effects.NewlyAllowed), effects.NotInCatalog, denied, allowed, unknown)
		}
		for name, n := range map[string]int{"added": len(added), "removed": len(removed), "children": children, "decided otherwise": len(denied) + len(allowed), "unknown": unknown} {
			did[name] += n
		}
		for _, u := range slices.Concat(effects.NewlyDenied, effects.NewlyAllowed) {
			w.checkExamples(u)
		}
	})
	if testing.Short() {
		return // too few draws to have seen all of it
	}
	for _, what := range []string{"refused", "done", "added", "removed", "children", "decided otherwise", "unknown"} {
		if did[what] == 0 {
			t.Errorf("nothing was %s: the test shows nothing of it (%v)", what, did)
		}
	}
}

// checkExamples holds examples to being of the group, the newest first.
func (w *world) checkExamples(u keys.UseEffect) {
	w.r.Helper()
	if len(u.Examples) != min(3, u.Count) || len(u.Failed) == 0 {
		w.r.Fatalf("%d examples of %d requests, denied by %v", len(u.Examples), u.Count, u.Failed)
	}
	for i, e := range u.Examples {
		if e.KeyID != u.Key.ID || e.Subject != u.Tool.ID && e.Tool != u.Tool.Name || i > 0 && e.ID > u.Examples[i-1].ID {
			w.r.Fatalf("example %d of %s: %+v", i, u.Tool.ID, e)
		}
	}
}
