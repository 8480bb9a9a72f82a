package keystest

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// call is an audit entry outside of an edit.
func (b *bench) call(change ...func(e *keys.AuditEntry)) keys.AuditEntry {
	e := keys.AuditEntry{ID: newID(), TenantID: b.acme, Time: begin, Kind: kindCall, Writer: "w1"}
	for _, fn := range change {
		fn(&e)
	}
	return e
}

func (b *bench) append(entries ...keys.AuditEntry) {
	b.Helper()
	if err := b.store.AppendAudit(b.ctx, entries); err != nil {
		b.Fatal(err)
	}
}

// audit are the entries that a query finds.
func (b *bench) audit(tenantID string, q keys.AuditQuery) []keys.AuditEntry {
	b.Helper()
	var entries []keys.AuditEntry
	b.read(func(r keys.Reader) (err error) {
		entries, err = r.Audit(b.ctx, tenantID, q)
		return err
	})
	return entries
}

var auditTests = []contractTest{
	{"round trip", func(b *bench) {
		full := keys.AuditEntry{
			ID: newID(), TenantID: b.acme, Time: begin, Kind: kindDecision, Action: "tools/call", Actor: "a", KeyID: "k",
			KeyVersion: 7, Subject: "s", Tool: "it's ? a \"tool\"", Decision: "deny", Failed: []string{"readonly", "allowlist"}, Ref: "r",
			Seen:       `{"category":"tools"}`,
			ArgsDigest: "d", Outcome: "ok", Latency: 1234567 * time.Nanosecond, Client: "c/1", Epoch: 5, Detail: json.RawMessage(`{"a":[1]}`),
			Writer: "w1", Seq: 99, Hash: "the store's to say",
		}
		b.complete(full)
		bare := b.call()
		b.append(full, bare)
		got := b.audit(b.acme, keys.AuditQuery{Limit: 2})
		full.Time, full.Latency = begun, 1234*time.Microsecond
		bare.Time, bare.Failed = begun, []string{}
		full.Seq, bare.Seq = 1, 2
		full.Hash = keys.AuditHash("", &full)
		bare.Hash = keys.AuditHash(full.Hash, &bare)
		if len(got) == 2 {
			b.sameJSON(got[1].Detail, full.Detail)
			got[1].Detail = full.Detail
		}
		b.equal("entries", got, []keys.AuditEntry{bare, full})
	}},
	{"an edit's entries have its epoch", func(b *bench) {
		e := b.changeEntry()
		e.Epoch = 99
		epoch := b.edit(func(w keys.Writer) error {
			p := keys.Project{ID: newID(), TenantID: b.acme, Slug: "p"}
			if err := w.InsertProject(b.ctx, &p); err != nil {
				return err
			}
			return w.Record(b.ctx, e)
		})
		for _, got := range b.audit(b.acme, keys.AuditQuery{Limit: 2}) {
			b.equal("epoch", got.Epoch, epoch)
		}
		b.refused("id", func(w keys.Writer) error { return w.Record(b.ctx, e) })
	}},
	{"use is counted", func(b *bench) {
		used := func(n int, change func(e *keys.AuditEntry)) keys.AuditUse {
			for i := range n {
				b.append(b.call(func(e *keys.AuditEntry) {
					e.Action, e.KeyID, e.Tool, e.Subject, e.Decision = "tools/call", "k1", "a1__t", "a1/t", "allow"
					e.Time = *at(time.Duration(i) * time.Minute)
					change(e)
				}))
			}
			last := b.audit(b.acme, keys.AuditQuery{Limit: 1})[0]
			return keys.AuditUse{KeyID: last.KeyID, Action: last.Action, Subject: last.Subject, Tool: last.Tool,
				Decision: last.Decision, Count: n, Last: last.Time}
		}
		allowed := used(3, func(*keys.AuditEntry) {})
		denied := used(2, func(e *keys.AuditEntry) { e.Kind, e.Decision, e.Tool = kindDecision, "deny", "A1__t" })
		other := used(1, func(e *keys.AuditEntry) { e.KeyID = "k2" })
		b.append(b.call(func(e *keys.AuditEntry) { e.TenantID = b.other }))
		shadowed := used(2, func(e *keys.AuditEntry) {
			e.KeyID, e.Detail = "k3", json.RawMessage(`{"shadow":{"decision":"deny","failed":["readonly","allowlist"]},"rules":[]}`)
		})
		shadowedToo := used(1, func(e *keys.AuditEntry) {
			e.KeyID, e.Detail = "k3", json.RawMessage(`{"shadow":{"decision":"allow"}}`)
		})
		b.equal("entries where a draft allows", len(b.audit(b.acme, keys.AuditQuery{Shadow: keys.ShadowAllow})), 1)
		b.equal("entries where a draft denies", len(b.audit(b.acme, keys.AuditQuery{KeyID: "k3", Shadow: keys.ShadowDeny})), 2)
		b.equal("entries of no draft", len(b.audit(b.acme, keys.AuditQuery{Shadow: "nul\x00"})), 0)
		of := func(u keys.AuditUse, shadow string) keys.AuditUse { u.Shadow = shadow; return u }
		all := shadowed
		all.Count, all.Last = 3, shadowed.Last
		for name, c := range map[string]struct {
			query keys.AuditUseQuery
			want  []keys.AuditUse
		}{
			"all": {keys.AuditUseQuery{Since: begin}, []keys.AuditUse{allowed, all, denied, other}},
			"of drafts": {keys.AuditUseQuery{Shadowed: true, Since: begin}, []keys.AuditUse{
				of(shadowed, keys.ShadowDeny), of(shadowedToo, keys.ShadowAllow)}},
			"of the drafts of a key without": {keys.AuditUseQuery{Shadowed: true, KeyID: "k1"}, []keys.AuditUse{}},
			"of a key":                       {keys.AuditUseQuery{KeyID: "k1"}, []keys.AuditUse{allowed, denied}},
			"limit":                          {keys.AuditUseQuery{Limit: 1}, []keys.AuditUse{allowed}},
			"late":                           {keys.AuditUseQuery{Since: *at(2 * time.Hour)}, []keys.AuditUse{}},
			"nobody":                         {keys.AuditUseQuery{KeyID: "%"}, []keys.AuditUse{}},
		} {
			b.read(func(r keys.Reader) error {
				got, err := r.AuditUse(b.ctx, b.acme, c.query)
				if len(got) == 0 {
					got = []keys.AuditUse{}
				}
				for i := range got { // stores write JSON each in their own way
					if list := got[i].ShadowFailed; got[i].Shadow == keys.ShadowDeny {
						b.equal(name+": rules", strings.Join(strings.Fields(list), ""), `["readonly","allowlist"]`)
						got[i].ShadowFailed = ""
					}
				}
				b.equal(name, got, c.want)
				return err
			})
		}
	}},
	{"queries", func(b *bench) {
		denied := b.call(func(e *keys.AuditEntry) {
			e.Kind, e.Decision, e.Ref, e.Tool, e.KeyID = kindDecision, "deny", "r1", "t%", "k1"
			e.Action, e.Subject = "a%", "s%"
		})
		late := b.call(func(e *keys.AuditEntry) {
			e.Decision, e.Tool, e.KeyID, e.Time = "allow", "T%", "k2", *at(time.Hour)
			e.Action, e.Subject = "A%", "S%"
		})
		foreign := b.call(func(e *keys.AuditEntry) { e.TenantID, e.Ref = b.other, "r1" })
		plain := b.call()
		b.append(denied, late, foreign, plain)
		calls := keys.AuditQuery{Kind: kindCall}
		for name, c := range map[string]struct {
			query keys.AuditQuery
			want  []keys.AuditEntry
		}{
			"kind":     {calls, []keys.AuditEntry{plain, late}},
			"key":      {keys.AuditQuery{KeyID: "k1"}, []keys.AuditEntry{denied}},
			"action":   {keys.AuditQuery{Action: "a%"}, []keys.AuditEntry{denied}},
			"subject":  {keys.AuditQuery{Subject: "S%"}, []keys.AuditEntry{late}},
			"tool":     {keys.AuditQuery{Tool: "t%"}, []keys.AuditEntry{denied}},
			"decision": {keys.AuditQuery{Decision: "allow"}, []keys.AuditEntry{late}},
			"ref":      {keys.AuditQuery{Ref: "r1"}, []keys.AuditEntry{denied}},
			"since":    {keys.AuditQuery{Since: *at(time.Hour)}, []keys.AuditEntry{late}},
			"past it":  {keys.AuditQuery{Since: *at(time.Hour + time.Microsecond)}, nil},
			"until":    {keys.AuditQuery{Kind: kindCall, Until: *at(time.Hour)}, []keys.AuditEntry{plain}},
			"past all": {keys.AuditQuery{Kind: kindCall, Until: *at(time.Hour + time.Microsecond)}, []keys.AuditEntry{plain, late}},
			"oldest":   {keys.AuditQuery{Kind: kindCall, Oldest: true}, []keys.AuditEntry{late, plain}},
			"first":    {keys.AuditQuery{Kind: kindCall, Oldest: true, Limit: 1}, []keys.AuditEntry{late}},
			"after":    {keys.AuditQuery{Oldest: true, After: denied.ID}, []keys.AuditEntry{late, plain}},
			"between":  {keys.AuditQuery{After: denied.ID, Before: plain.ID}, []keys.AuditEntry{late}},
			"no after": {keys.AuditQuery{After: "nul\x00"}, nil},
			"before":   {keys.AuditQuery{Kind: kindCall, Before: plain.ID}, []keys.AuditEntry{late}},
			"limit":    {keys.AuditQuery{Limit: 1}, []keys.AuditEntry{plain}},
			"together": {keys.AuditQuery{KeyID: "k1", Decision: "allow"}, nil},
			"nowhere":  {keys.AuditQuery{Before: "nul\x00"}, nil},
		} {
			b.equal(name, ids(b.audit(b.acme, c.query)), ids(c.want))
		}
		b.equal("of the other tenant", ids(b.audit(b.other, keys.AuditQuery{Ref: "r1"})), ids([]keys.AuditEntry{foreign}))
	}},
	{"fifty where no limit is given", func(b *bench) {
		entries := []keys.AuditEntry{}
		for range 60 {
			entries = append(entries, b.call())
		}
		b.append(entries...)
		b.equal("entries", len(b.audit(b.acme, keys.AuditQuery{})), 50)
		b.equal("entries", len(b.audit(b.acme, keys.AuditQuery{Limit: 55})), 55)
	}},
	{"a batch can be tried again", func(b *bench) {
		one, two := b.call(), b.call()
		before := b.epoch()
		b.append(one)
		changed := one
		changed.Tool = "changed"
		b.append(changed, two, two)
		b.append(one, two)
		got := b.audit(b.acme, keys.AuditQuery{Kind: kindCall})
		b.equal("entries", ids(got), ids([]keys.AuditEntry{two, one}))
		b.equal("the first one stays", got[1].Tool, "")
		b.equal("epoch", b.epoch(), before)
	}},
	{"a batch is all or none", func(b *bench) {
		for name, bad := range map[string]keys.AuditEntry{
			"a change":        b.call(func(e *keys.AuditEntry) { e.Kind = kindChange }),
			"an unknown kind": b.call(func(e *keys.AuditEntry) { e.Kind = "x" }),
			"no JSON":         b.call(func(e *keys.AuditEntry) { e.Detail = json.RawMessage(`{"a":`) }),
		} {
			if err := b.store.AppendAudit(b.ctx, []keys.AuditEntry{b.call(), bad, b.call()}); err == nil {
				b.Errorf("%s was appended", name)
			}
			b.equal(name, len(b.audit(b.acme, keys.AuditQuery{Kind: kindCall})), 0)
		}
	}},
	{"a large batch", func(b *bench) {
		entries := []keys.AuditEntry{}
		for n := range 1200 {
			entries = append(entries, b.call(func(e *keys.AuditEntry) { e.Tool = fmt.Sprint(n) }))
		}
		b.append(entries...)
		b.equal("entries", len(b.audit(b.acme, keys.AuditQuery{Kind: kindCall, Limit: 5000})), 1200)
	}},
	{"no client's text keeps a batch back", func(b *bench) {
		nasty := "a\x00b\xffc"
		want := strings.ToValidUTF8(strings.ReplaceAll(nasty, "\x00", "\ufffd"), "\ufffd")
		b.append(b.call(func(e *keys.AuditEntry) {
			e.Tool, e.Client, e.Actor, e.Failed = nasty, nasty, nasty, []string{"x"}
			e.Detail = json.RawMessage(`{"k\u0000":"a\u0000b \\u0000 \ud800","n":12345678901234567890}`)
		}))
		got := b.audit(b.acme, keys.AuditQuery{Tool: nasty})
		if len(got) != 1 {
			b.Fatalf("found %d entries", len(got))
		}
		b.equal("texts", []string{got[0].Tool, got[0].Client, got[0].Actor}, []string{want, want, want})
		b.equal("detail", string(got[0].Detail), `{"k�":"a�b \\u0000 �","n":"12345678901234567890"}`)
	}},
}

func ids(entries []keys.AuditEntry) []string {
	list := []string{}
	for _, e := range entries {
		list = append(list, e.ID)
	}
	return list
}

// sameJSON compares values: a store may write them with other spaces and order.
func (b *bench) sameJSON(got, want json.RawMessage) {
	b.Helper()
	decode := func(raw json.RawMessage) (v any) {
		dec := json.NewDecoder(strings.NewReader(string(raw)))
		dec.UseNumber()
		if err := dec.Decode(&v); err != nil {
			b.Errorf("%q: %v", raw, err)
		}
		return v
	}
	b.equal("JSON", decode(got), decode(want))
}

var changeTests = []contractTest{
	{"one for each thing, however often it is touched", func(b *bench) {
		p := b.project(b.acme, "p")
		before := b.epoch()
		k := someKey(b.acme, "k")
		epoch := b.edit(func(w keys.Writer) error {
			for _, step := range []error{
				w.UpdateProject(b.ctx, &p), w.UpdateProject(b.ctx, &p),
				w.InsertKey(b.ctx, &k), w.UpdateKey(b.ctx, &k), w.PutSecrets(b.ctx, b.acme, k.ID),
			} {
				if step != nil {
					return step
				}
			}
			return nil
		})
		got, err := b.store.Changes(b.ctx, before, 10)
		if err != nil {
			b.Fatal(err)
		}
		b.equal("changes", got, []keys.Change{
			{Epoch: epoch, TenantID: b.acme, Kind: keys.ChangeKey, ID: k.ID},
			{Epoch: epoch, TenantID: b.acme, Kind: keys.ChangeProject, ID: p.ID},
		})
	}},
	{"a snapshot knows its last edit", func(b *bench) {
		asOf := func(r keys.Reader) int64 {
			epoch, err := r.AsOf(b.ctx)
			if err != nil {
				b.Fatal(err)
			}
			return epoch
		}
		before := b.epoch()
		inside := int64(-1)
		after := b.edit(func(w keys.Writer) error {
			err := w.InsertProject(b.ctx, &keys.Project{ID: newID(), TenantID: b.acme, Slug: "p"})
			inside = asOf(w)
			return err
		})
		b.equal("within the edit", inside, before)
		edited := make(chan int64, 1)
		b.read(func(r keys.Reader) error {
			b.equal("before", asOf(r), after)
			go func() { // a store of one connection has it wait for the snapshot's end
				epoch, err := b.tryEdit(func(w keys.Writer) error {
					return w.InsertProject(b.ctx, &keys.Project{ID: newID(), TenantID: b.acme, Slug: "q"})
				})
				if err != nil {
					b.Error(err)
				}
				edited <- epoch
			}()
			select {
			case later := <-edited:
				edited <- later
			case <-time.After(100 * time.Millisecond):
			}
			b.equal("beside an edit", asOf(r), after)
			return nil
		})
		later := <-edited
		b.equal("the store's", b.epoch(), later)
		_, _ = b.store.Edit(b.ctx, func(w keys.Writer) error {
			if err := w.InsertProject(b.ctx, &keys.Project{ID: newID(), TenantID: b.acme, Slug: "r"}); err != nil {
				b.Error(err)
			}
			return keys.ErrVersion
		})
		b.read(func(r keys.Reader) error {
			b.equal("after one that failed", asOf(r), after+1)
			return nil
		})
	}},
	{"pages of whole epochs", func(b *bench) {
		sizes := []int{1, 3, 2, 1}
		start := b.epoch()
		for _, size := range sizes {
			b.edit(func(w keys.Writer) error {
				for range size {
					if err := w.InsertProject(b.ctx, &keys.Project{ID: newID(), TenantID: b.acme, Slug: newID()}); err != nil {
						return err
					}
				}
				return nil
			})
		}
		for _, page := range []struct {
			after int64
			limit int
			want  []int64
		}{
			{0, 100, []int64{1, 2, 2, 2, 3, 3, 4}}, {0, 7, []int64{1, 2, 2, 2, 3, 3, 4}}, {0, 6, []int64{1, 2, 2, 2, 3, 3}},
			{0, 5, []int64{1, 2, 2, 2}}, {0, 4, []int64{1, 2, 2, 2}}, {0, 3, []int64{1}}, {0, 1, []int64{1}}, {0, 0, []int64{1}},
			{1, 1, []int64{2, 2, 2}}, {1, 2, []int64{2, 2, 2}}, {1, 3, []int64{2, 2, 2}}, {1, 4, []int64{2, 2, 2}}, {2, -1, []int64{3, 3}},
			{3, 1, []int64{4}}, {4, 10, []int64{}}, {99, 10, []int64{}},
		} {
			changes, err := b.store.Changes(b.ctx, start+page.after, page.limit)
			if err != nil {
				b.Fatal(err)
			}
			got := []int64{}
			for _, c := range changes {
				got = append(got, c.Epoch-start)
			}
			b.equal(fmt.Sprintf("%d after %d", page.limit, page.after), got, page.want)
		}
	}},
}
