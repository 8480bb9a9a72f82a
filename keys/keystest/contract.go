package keystest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// Run is the contract of keys.Store: open answers a new, empty store for each
// test and closes it when the test ends.
func Run(t *testing.T, open func(t *testing.T) keys.Store) {
	for _, group := range []struct {
		name  string
		tests []contractTest
	}{
		{"edits", editTests},
		{"concurrency", concurrencyTests},
		{"absence", absenceTests},
		{"tenants", tenantTests},
		{"projects", projectTests},
		{"instances", instanceTests},
		{"definitions", definitionTests},
		{"pins", pinTests},
		{"presets", presetTests},
		{"keys", keyTests},
		{"search", searchTests},
		{"secrets", secretTests},
		{"answers", answerTests},
		{"batches", batchTests},
		{"logins", loginTests},
		{"call windows", callWindowTests},
		{"replicas", replicaTests},
		{"audit", auditTests},
		{"audit chains", chainTests},
		{"changes", changeTests},
	} {
		if len(group.tests) == 0 {
			t.Errorf("no tests of %s", group.name)
		}
		t.Run(group.name, func(t *testing.T) {
			for _, test := range group.tests {
				t.Run(test.name, func(t *testing.T) { test.run(newBench(t, open(t))) })
			}
		})
	}
}

type contractTest struct {
	name string
	run  func(b *bench)
}

// bench is one store under test, with the tenants acme and other.
type bench struct {
	*testing.T
	ctx         context.Context
	store       keys.Store
	acme, other string // tenant ids
}

// begin is a time that no store keeps as it is: not UTC, finer than a microsecond.
var begin = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.FixedZone("", 3600))

// begun is begin as it comes back.
var begun = time.Date(2026, 3, 1, 11, 0, 0, 123456000, time.UTC)

func newBench(t *testing.T, store keys.Store) *bench {
	b := &bench{T: t, ctx: context.Background(), store: store, acme: newID(), other: newID()}
	b.edit(func(w keys.Writer) error {
		return errors.Join(
			w.InsertTenant(b.ctx, &keys.Tenant{ID: b.acme, Slug: "acme", Name: "Acme", MCPEnabled: true, AuditArguments: true, JWTPolicy: somePolicy(),
				CreatedAt: begin, UpdatedAt: begin}),
			w.InsertTenant(b.ctx, &keys.Tenant{ID: b.other, Slug: "other", Name: "Other", CreatedAt: begin, UpdatedAt: begin}))
	})
	return b
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

// edit is an edit with its audit entry that must succeed.
func (b *bench) edit(fn func(w keys.Writer) error) int64 {
	b.Helper()
	epoch, err := b.tryEdit(fn)
	if err != nil {
		b.Fatalf("edit: %v", err)
	}
	return epoch
}

// tryEdit is an edit with its audit entry.
func (b *bench) tryEdit(fn func(w keys.Writer) error) (int64, error) {
	return b.store.Edit(b.ctx, func(w keys.Writer) error {
		if err := fn(w); err != nil {
			return err
		}
		return w.Record(b.ctx, b.changeEntry())
	})
}

func (b *bench) changeEntry() keys.AuditEntry {
	return keys.AuditEntry{ID: newID(), TenantID: b.acme, Time: begin, Kind: kindChange, Action: "test", Actor: "operator"}
}

// read is a read that must succeed.
func (b *bench) read(fn func(r keys.Reader) error) {
	b.Helper()
	if err := b.store.Read(b.ctx, fn); err != nil {
		b.Fatalf("read: %v", err)
	}
}

// refused is an edit that must fail with the conflict of a field, and write nothing.
func (b *bench) refused(field string, fn func(w keys.Writer) error) {
	b.Helper()
	before := b.epoch()
	_, err := b.tryEdit(fn)
	var conflict *keys.ConflictError
	if !errors.As(err, &conflict) || conflict.Field != field || conflict.Problem == "" {
		b.Errorf("got %v (%T), want a conflict of %q", err, err, field)
	}
	if after := b.epoch(); after != before {
		b.Errorf("a refused edit moved the epoch from %d to %d", before, after)
	}
}

// missing is an edit that must fail with ErrNotFound.
func (b *bench) missing(what string, fn func(w keys.Writer) error) {
	b.Helper()
	if _, err := b.tryEdit(fn); !errors.Is(err, keys.ErrNotFound) {
		b.Errorf("%s: got %v, want ErrNotFound", what, err)
	}
}

func (b *bench) epoch() int64 {
	b.Helper()
	epoch, err := b.store.Epoch(b.ctx)
	if err != nil {
		b.Fatalf("epoch: %v", err)
	}
	return epoch
}

// changed are the things changed after an epoch, as "kind id", in order.
func (b *bench) changed(after int64) []string {
	b.Helper()
	changes, err := b.store.Changes(b.ctx, after, 5000)
	if err != nil {
		b.Fatalf("changes: %v", err)
	}
	things := []string{}
	for _, c := range changes {
		things = append(things, fmt.Sprintf("%s %s", c.Kind, c.ID))
	}
	return things
}

func (b *bench) project(tenantID, slug string) keys.Project {
	b.Helper()
	p := keys.Project{ID: newID(), TenantID: tenantID, Slug: slug, Name: slug, CreatedAt: begin, UpdatedAt: begin}
	b.edit(func(w keys.Writer) error { return w.InsertProject(b.ctx, &p) })
	return p
}

func (b *bench) instance(tenantID, projectID, slug string) keys.Instance {
	b.Helper()
	i := keys.Instance{ID: newID(), TenantID: tenantID, ProjectID: projectID, Slug: slug,
		Transport: keys.TransportStdio, Command: "true", CreatedAt: begin, UpdatedAt: begin}
	b.edit(func(w keys.Writer) error { return w.InsertInstance(b.ctx, &i) })
	return i
}

// someKey is a key to be inserted.
func someKey(tenantID, handle string) keys.Key {
	return keys.Key{ID: newID(), TenantID: tenantID, Handle: handle, Name: handle, Scope: policy.ScopeFull,
		Enabled: true, Policy: policy.Default(), CreatedAt: begin, UpdatedAt: begin}
}

// key inserts a key, changed by the given functions beforehand.
func (b *bench) key(tenantID, handle string, change ...func(k *keys.Key)) keys.Key {
	b.Helper()
	k := someKey(tenantID, handle)
	for _, fn := range change {
		fn(&k)
	}
	b.edit(func(w keys.Writer) error { return w.InsertKey(b.ctx, &k) })
	return k
}

func (b *bench) stored(id string) keys.Key {
	b.Helper()
	var k keys.Key
	b.read(func(r keys.Reader) (err error) {
		k, err = r.Key(b.ctx, "", id)
		return err
	})
	return k
}

// equal compares with what limits and times mean.
func (b *bench) equal(what string, got, want any) {
	b.Helper()
	limits := cmp.Comparer(func(x, y policy.Limit) bool {
		one, err1 := json.Marshal(x)
		two, err2 := json.Marshal(y)
		return err1 == nil && err2 == nil && string(one) == string(two)
	})
	utc := cmp.Comparer(func(x, y time.Time) bool { return x.Equal(y) && x.Location() == y.Location() })
	raw := cmp.Comparer(func(x, y json.RawMessage) bool { return string(x) == string(y) })
	if diff := cmp.Diff(want, got, limits, utc, raw); diff != "" {
		b.Errorf("%s (-want +got):\n%s", what, diff)
	}
}
