package keys_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// immutable are the fields of a key that never change.
var immutable = map[string]bool{"handle": true, "scope": true, "projectId": true, "parentKeyId": true, "source": true,
	"deviceName": true, "expiresAt": true}

// TestEveryChangeCanBeTakenBack: a field that is new is in the trail, so it must
// be read from there too.
func TestEveryChangeCanBeTakenBack(t *testing.T) {
	fields := keys.KeyFields()
	for name, back := range fields {
		if back == immutable[name] {
			t.Errorf("%s: immutable %v, taken back %v", name, immutable[name], back)
		}
	}
	if len(fields) < 20 {
		t.Errorf("only %d fields", len(fields))
	}
}

func (h *house) versionOf(id string, version int64) (keys.Key, error) {
	st, err := h.svc.Standing(h.ctx, h.op, keys.Question{Key: id, Version: version})
	return st.Key, err
}

// TestKeyVersions: whatever edits are made of a key, each of its versions comes
// back as it was.
func TestKeyVersions(t *testing.T) {
	seen := map[string]int{}
	rapid.Check(t, func(r *rapid.T) {
		w := newWorld(t, r, map[string]int{})
		if w == nil {
			return
		}
		key := w.mint(w.op, w.drawKey()).Key
		w.mint(w.op, w.drawKey())
		had := []keys.Key{key}
		for range rapid.IntRange(1, 8).Draw(r, "edits") {
			w.clock.Advance(time.Second)
			if w.flip("an edit of something else") {
				w.mint(w.op, w.drawKey())
			}
			edit := rapid.SampledFrom([]string{"update", "update", "toggle", "rotate", "revoke"}).Draw(r, "edit")
			next, err := w.edited(edit, key.ID)
			if err != nil {
				continue // revoked
			}
			seen[edit]++
			if next.Version != had[len(had)-1].Version {
				had = append(had, next)
			}
		}
		for _, want := range had {
			got, err := w.versionOf(key.ID, want.Version)
			if err != nil {
				r.Fatalf("version %d of %d: %v", want.Version, len(had), err)
			}
			if !sameKey(got, want) {
				r.Fatalf("version %d:\n%+v\nwas\n%+v", want.Version, got, want)
			}
		}
		w.sameByReplay(had)
		if _, err := w.versionOf(key.ID, key.Version-1); strings.Join(fieldsOf(err), "") != "version" {
			r.Fatalf("before it was made: %v", err)
		}
	})
	if !testing.Short() && (seen["update"] == 0 || seen["toggle"] == 0 || seen["rotate"] == 0 || seen["revoke"] == 0) {
		t.Errorf("not all edits were made: %v", seen)
	}
}

func (w *world) edited(edit, id string) (keys.Key, error) {
	switch edit {
	case "toggle":
		return w.svc.ToggleKey(w.ctx, w.op, id, 0)
	case "rotate":
		issued, err := w.svc.RotateKey(w.ctx, w.op, id, keys.Rotation{})
		return issued.Key, err
	case "revoke":
		return w.svc.RevokeKey(w.ctx, w.op, id, keys.Revocation{Reason: "done", Once: true})
	}
	n := w.drawKey()
	return w.svc.UpdateKey(w.ctx, w.op, id, keys.KeyPatch{PolicyPatch: n.PolicyPatch, Permissions: n.Permissions, Enabled: n.Enabled,
		Name: maybe(w, "name", "k", "l"), Description: maybe(w, "description", "", "for <x>"), Tags: maybe(w, "tags", []string{}, []string{"a", "b"})})
}

// sameByReplay holds what a replay of the trail takes a key for, as of every edit,
// to the key's versions.
func (w *world) sameByReplay(versions []keys.Key) {
	id := versions[0].ID
	folded, err := keys.FoldedKeys(w.ctx, w.svc, w.op.TenantID(), id)
	if err != nil {
		w.r.Fatal(err)
	}
	if k, err := folded(versions[0].Version - 1); err == nil {
		w.r.Fatalf("before it was made: %+v", k)
	}
	end, err := w.store.Epoch(w.ctx)
	if err != nil {
		w.r.Fatal(err)
	}
	for epoch := versions[0].Version; epoch <= end; epoch++ {
		if len(versions) > 1 && versions[1].Version == epoch {
			versions = versions[1:]
		}
		was, err := w.versionOf(id, versions[0].Version)
		if err != nil {
			w.r.Fatal(err)
		}
		got, err := folded(epoch)
		if err != nil {
			w.r.Fatalf("edit %d: %v", epoch, err)
		}
		want := keys.Key{Scope: was.Scope, Permissions: was.Permissions, Enabled: was.Enabled, ProjectID: was.ProjectID,
			ParentKeyID: was.ParentKeyID, ExpiresAt: was.ExpiresAt, Policy: was.Policy}
		if was.RevokedAt != nil {
			want.RevokedAt = new(time.Time)
		}
		if !sameKey(got, want) {
			w.r.Fatalf("edit %d:\n%+v\nin its version %d\n%+v", epoch, got, was.Version, want)
		}
	}
}

// sameKey takes null and an empty list of tags for the same.
func sameKey(a, b keys.Key) bool {
	for _, k := range []*keys.Key{&a, &b} {
		k.Policy, k.Tags, k.Permissions = k.Policy.Canonical(), append([]string{}, k.Tags...), append([]string{}, k.Permissions...)
	}
	return reflect.DeepEqual(a, b)
}

// TestKeyVersionsThatAreGone: what retention has removed is told from what never
// was, and what is left is still there.
func TestKeyVersionsThatAreGone(t *testing.T) {
	h := newHouse(t)
	key := h.mint(h.op, keys.NewKey{}).Key
	other := h.mint(h.op, keys.NewKey{}).Key
	versions := []int64{key.Version}
	for n := range 3 {
		h.clock.Advance(time.Hour)
		next, err := h.svc.UpdateKey(h.ctx, h.op, key.ID, keys.KeyPatch{Description: keys.Some(fmt.Sprint(n))})
		if err != nil {
			t.Fatal(err)
		}
		versions = append(versions, next.Version)
	}
	problem := func(version int64) string {
		t.Helper()
		_, err := h.versionOf(key.ID, version)
		if faults := details(err); len(faults) == 1 && faults[0].Field == "version" {
			return faults[0].Problem
		}
		t.Fatalf("version %d: %v", version, err)
		return ""
	}
	all := fmt.Sprintf("the key never had it: its versions, newest first, are %d, %d, %d, %d", versions[3], versions[2], versions[1], versions[0])
	for _, never := range []int64{1, other.Version, versions[3] + 1, 1 << 53} {
		if got := problem(never); got != all {
			t.Errorf("version %d: %s", never, got)
		}
	}
	h.prune(90 * time.Minute) // what is older: all but the last two edits
	if k, err := h.versionOf(key.ID, versions[2]); err != nil || k.Description != "1" || k.Version != versions[2] {
		t.Errorf("what is kept: %+v, %v", k, err)
	}
	for _, gone := range []int64{1, versions[0], versions[1]} {
		if got, want := problem(gone), fmt.Sprintf("the audit trail no longer has it: it goes back to version %d of this key", versions[2]); got != want {
			t.Errorf("version %d: %s", gone, got)
		}
	}
	h.clock.Advance(3 * time.Hour)
	h.prune(time.Hour)
	if k, err := h.versionOf(key.ID, versions[3]); err != nil || k.Description != "2" {
		t.Errorf("the present: %+v, %v", k, err)
	}
	if got := problem(versions[2]); !strings.HasPrefix(got, "the audit trail no longer has what the key was before version") {
		t.Error(got)
	}
}

func (h *house) prune(age time.Duration) {
	h.t.Helper()
	if _, err := h.svc.PruneAudit(h.ctx, h.op, h.clock.Now().Add(-age), false); err != nil {
		h.t.Fatal(err)
	}
}

// TestGrantOfAVersion: the grant of an earlier version is that version's.
func TestGrantOfAVersion(t *testing.T) {
	h := newHouse(t)
	key := h.mint(h.op, keys.NewKey{}).Key
	if _, err := h.svc.UpdateKey(h.ctx, h.op, key.ID, keys.KeyPatch{PolicyPatch: full()}); err != nil {
		t.Fatal(err)
	}
	tool := policy.Tool{ID: "a/drop", Name: "a__drop", Category: "tools", Effect: policy.EffectDestructive, WriteEnabled: true}
	for version, want := range map[int64]bool{0: true, key.Version: false} {
		st, err := h.svc.Standing(h.ctx, h.op, keys.Question{Key: key.Handle, Version: version})
		if err != nil {
			t.Fatal(err)
		}
		if d, rules := st.Explain(&keys.Offered{Kind: keys.KindTool, Tool: tool}); d.Allowed() != want || len(rules) < 10 {
			t.Errorf("version %d: %v", version, d.Failed())
		}
	}
}

// TestKeyAt: what the entries do not tell, or can't be read, is an error.
func TestKeyAt(t *testing.T) {
	now := keys.Key{ID: "k", Version: 9, Name: "now"}
	change := func(epoch int64, subject, detail string) keys.AuditEntry {
		return keys.AuditEntry{Kind: "change", Subject: subject, Epoch: epoch, Detail: []byte(detail)}
	}
	made := change(3, "k", `{"after":{"name":"first"}}`)
	second := change(5, "k", `{"before":{"name":"first"},"after":{"name":"second"}}`)
	last := change(9, "k", `{"before":{"name":"second"},"after":{"name":"now"}}`)
	foreign := change(7, "l", `{"before":{"name":"theirs"},"after":{"name":"x"}}`)
	call := keys.AuditEntry{Kind: "call", Subject: "k", Epoch: 8, Detail: []byte(`{"before":{"name":"called"}}`)}
	for name, c := range map[string]struct {
		entries []keys.AuditEntry
		version int64
		want    string // the name then; "" = an error
	}{
		"as it is":           {nil, 9, "now"},
		"in any order":       {[]keys.AuditEntry{made, last, foreign, call, second}, 3, "first"},
		"the one before":     {[]keys.AuditEntry{last, second}, 5, "second"},
		"another's version":  {[]keys.AuditEntry{made, second, foreign, last}, 7, ""},
		"a call's epoch":     {[]keys.AuditEntry{made, second, call, last}, 8, ""},
		"the last is gone":   {[]keys.AuditEntry{made, second}, 3, ""},
		"nothing is left":    {nil, 5, ""},
		"an unknown field":   {[]keys.AuditEntry{made, second, change(9, "k", `{"before":{"name":"second","newer":1}}`)}, 5, ""},
		"another type":       {[]keys.AuditEntry{made, second, change(9, "k", `{"before":{"name":1}}`)}, 5, ""},
		"what is no JSON":    {[]keys.AuditEntry{made, second, change(9, "k", `{`)}, 5, ""},
		"what it had to end": {[]keys.AuditEntry{made, second, change(9, "k", `{"before":{"mcpPermissions":null,"tags":[],"revoked":true}}`)}, 5, "now"},
	} {
		got, err := keys.KeyAt(now, c.entries, c.version)
		if (err != nil) != (c.want == "") || got.Name != c.want || err == nil && got.Version != c.version {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}
