package mcp_test

import (
	"context"
	"encoding/base64"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/keystest"
	"github.com/bailiwick-mcp/bailiwick/mcp"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// owners are principals of two tenants, with a service that knows them.
type owners struct {
	svc *keys.Service
	ids mcp.TaskIDs
	all []keys.Principal
}

// newOwners makes two keys in each of two tenants. It is made once a test binary:
// nothing in it changes.
var newOwners = sync.OnceValues(func() (*owners, error) {
	ctx := context.Background()
	svc, err := keys.New(ctx, keys.Config{Store: keystest.NewMemory(),
		Root: keys.RootSecret{Version: 1, Value: keys.Secret("0123456789abcdefghijklmnopqrstuvwxyz-root")}})
	if err != nil {
		return nil, err
	}
	if _, err = svc.Bootstrap(ctx); err != nil {
		return nil, err
	}
	o := &owners{svc: svc, ids: mcp.NewTaskIDs(svc)}
	op, err := svc.Operator(ctx, "default")
	if err != nil {
		return nil, err
	}
	if _, err = svc.CreateTenant(ctx, op, keys.NewTenant{Slug: "other", Name: "other"}); err != nil {
		return nil, err
	}
	for _, slug := range []string{"default", "other"} {
		if op, err = svc.Operator(ctx, slug); err != nil {
			return nil, err
		}
		for range 2 {
			n := keys.NewKey{Name: "k", Permissions: keys.Some([]string{"*"}), Source: "api"}
			n.MCPReadOnly, n.MCPPreset = keys.Some(false), keys.Some(policy.PresetFullAccess)
			issued, err := svc.CreateKey(ctx, op, n)
			if err != nil {
				return nil, err
			}
			p, err := svc.Authenticate(ctx, issued.Secret)
			if err != nil {
				return nil, err
			}
			o.all = append(o.all, p)
		}
	}
	return o, nil
})

func theOwners(t testing.TB) *owners {
	t.Helper()
	o, err := newOwners()
	must(t, err)
	return o
}

var anyTask = rapid.Custom(func(t *rapid.T) mcp.TaskRef {
	return mcp.TaskRef{
		Modern: rapid.Bool().Draw(t, "modern"), Born: rapid.Int64().Draw(t, "born"),
		Instance: rapid.StringN(0, 20, 40).Draw(t, "instance"), Tool: rapid.StringN(0, 60, 160).Draw(t, "tool"),
		ID: rapid.StringN(0, 60, 1024).Draw(t, "id"),
	}
})

// An id opens for whom it was made and for nobody else, says what it was made
// from, is the same each time, and is another one for every other task.
func TestTaskIDs(t *testing.T) {
	o := theOwners(t)
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.IntRange(0, len(o.all)-1).Draw(t, "owner")
		ref := anyTask.Draw(t, "task")
		id := o.ids.ID(o.all[at], ref)
		if again := mcp.NewTaskIDs(o.svc).ID(o.all[at], ref); again != id {
			t.Fatalf("one task has two ids: %s %s", id, again)
		}
		for i, p := range o.all {
			got, ok := o.ids.Open(p, id)
			switch {
			case ok != (i == at):
				t.Fatalf("the id of owner %d opens for owner %d: %v", at, i, ok)
			case ok && got != ref:
				t.Fatalf("it says %+v, not %+v", got, ref)
			}
		}
		other := anyTask.Draw(t, "another task")
		if same := o.ids.ID(o.all[at], other) == id; same != (other == ref) {
			t.Fatalf("%+v and %+v have ids that are the same: %v", ref, other, same)
		}
	})
}

// Nothing of what an id says can be read in it, and no other spelling of it opens.
func TestTaskIDIsSealed(t *testing.T) {
	o := theOwners(t)
	ref := mcp.TaskRef{Born: 1_800_000_000, Instance: "0195f0a0-1111-7000-8000-000000000001", Tool: "a1/run", ID: "upstream-task-1"}
	id := o.ids.ID(o.all[0], ref)
	raw, err := base64.RawURLEncoding.DecodeString(id)
	must(t, err)
	for _, part := range []string{ref.Instance, ref.Tool, ref.ID} {
		if strings.Contains(string(raw), part) {
			t.Errorf("%q stands in the id", part)
		}
	}
	for i := range raw {
		changed := append([]byte(nil), raw...)
		changed[i] ^= 1
		if _, ok := o.ids.Open(o.all[0], base64.RawURLEncoding.EncodeToString(changed)); ok {
			t.Errorf("it opens with byte %d changed", i)
		}
	}
	for name, other := range map[string]string{
		"nothing": "", "cut": id[:len(id)-1], "longer": id + "A", "padded": id + "=", "with a space": id + " ",
		"in lines": id[:10] + "\n" + id[10:], "other alphabet": strings.NewReplacer("-", "+", "_", "/").Replace(id) + "+",
		"an upstream's id": ref.ID, "head only": id[:17], "huge": strings.Repeat("A", 1<<20),
	} {
		if _, ok := o.ids.Open(o.all[0], other); ok {
			t.Errorf("%s opens", name)
		}
	}
}

// FuzzTaskID tries texts as ids: none but one that was made opens.
func FuzzTaskID(f *testing.F) {
	o := theOwners(f)
	made := o.ids.ID(o.all[0], mcp.TaskRef{Born: 1, Instance: "i", Tool: "a/b", ID: "1"})
	f.Add(made)
	f.Add("")
	f.Add("AQ")
	f.Add(strings.Repeat("A", 64))
	f.Add(made[:20] + "A" + made[21:])
	f.Fuzz(func(t *testing.T, id string) {
		for i, p := range o.all {
			ref, ok := o.ids.Open(p, id)
			if ok && (i != 0 || id != made && o.ids.ID(p, ref) != id) {
				t.Fatalf("%q opens for owner %d: %+v", id, i, ref)
			}
		}
	})
}
