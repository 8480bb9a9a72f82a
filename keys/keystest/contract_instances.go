package keystest

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

func sortedStrings(values []string) []string { return slices.Sorted(slices.Values(values)) }

// fullInstance has a value in every field.
func fullInstance(tenantID, projectID string) keys.Instance {
	return keys.Instance{
		ID: newID(), TenantID: tenantID, ProjectID: projectID, Slug: "full", Transport: keys.TransportStdio,
		Command: "npx", Args: []string{"-y", "", "it's \"quoted\" ? \\ ü"}, URL: "https://example.com/?a=b",
		Sealed: []byte{0, 1, 0xff}, Enabled: true, WriteEnabled: true, TrustAnnotations: true, QuarantineNew: true, AllowPrivate: true, Source: "api",
		Tools: []keys.ToolRule{{Match: "b*", Category: "x"}, {Match: "a", Effect: policy.EffectWrite}, {Match: "c"},
			{Match: "d", Category: "y", Effect: policy.EffectDestructive, ProjectPointer: "/at/project"}, {Match: "e", ProjectPointer: "/a~1b"}},
		CreatedAt: begin, UpdatedAt: begin,
	}
}

var instanceTests = []contractTest{
	{"round trip", func(b *bench) {
		p := b.project(b.acme, "p")
		full := fullInstance(b.acme, p.ID)
		b.complete(full, "Version")
		bare := keys.Instance{ID: newID(), TenantID: b.acme, ProjectID: p.ID, Slug: "bare"}
		for _, i := range []keys.Instance{full, bare} {
			epoch := b.edit(func(w keys.Writer) error { return w.InsertInstance(b.ctx, &i) })
			want := full
			want.CreatedAt, want.UpdatedAt, want.Version = begun, begun, epoch
			if i.Slug == "bare" { // lists that are never null come back as such
				want = bare
				want.Args, want.Tools, want.Version = []string{}, []keys.ToolRule{}, epoch
			}
			b.equal("what the writer gives back", i, want)
			b.read(func(r keys.Reader) error {
				got, err := r.Instance(b.ctx, b.acme, i.ID)
				b.equal("instance", got, want)
				return err
			})
			b.equal("changes", b.changed(epoch-1), []string{"instance " + i.ID})
		}
	}},
	{"what is read or written is not shared", func(b *bench) {
		p := b.project(b.acme, "p")
		i := fullInstance(b.acme, p.ID)
		b.edit(func(w keys.Writer) error { return w.InsertInstance(b.ctx, &i) })
		i.Args[0], i.Sealed[0], i.Tools[0].Match = "changed", 9, "changed"
		b.read(func(r keys.Reader) error {
			first, err1 := r.Instance(b.ctx, b.acme, i.ID)
			b.equal("args", first.Args[0], "-y")
			first.Args[0], first.Sealed[0], first.Tools[0].Match = "changed", 9, "changed"
			again, err2 := r.Instance(b.ctx, b.acme, i.ID)
			b.equal("again", []any{again.Args[0], again.Sealed[0], again.Tools[0].Match}, []any{"-y", byte(0), "b*"})
			return errors.Join(err1, err2)
		})
	}},
	{"update", func(b *bench) {
		p, q := b.project(b.acme, "p"), b.project(b.acme, "q")
		old := b.instance(b.acme, p.ID, "old")
		i := fullInstance(b.acme, q.ID)
		i.ID, i.CreatedAt, i.UpdatedAt = old.ID, begin.Add(time.Hour), begin.Add(time.Hour)
		want := i
		want.CreatedAt, want.UpdatedAt = begun, begun.Add(time.Hour)
		want.Version = b.edit(func(w keys.Writer) error { return w.UpdateInstance(b.ctx, &i) })
		b.equal("what the writer gives back", i, want)
		b.read(func(r keys.Reader) error {
			got, err := r.Instance(b.ctx, b.acme, i.ID)
			b.equal("instance", got, want)
			return err
		})
		foreign := b.project(b.other, "foreign")
		i.ProjectID = foreign.ID
		b.missing("UpdateInstance into a foreign project", func(w keys.Writer) error { return w.UpdateInstance(b.ctx, &i) })
	}},
	{"listed by slug, of one tenant or all", func(b *bench) {
		p, q := b.project(b.acme, "p"), b.project(b.other, "q")
		for _, slug := range []string{"b", "a-b", "a0"} {
			b.instance(b.acme, p.ID, slug)
		}
		b.instance(b.other, q.ID, "a1")
		for tenantID, want := range map[string][]string{b.acme: {"a-b", "a0", "b"}, b.other: {"a1"}, "": {"a-b", "a0", "a1", "b"}} {
			b.read(func(r keys.Reader) error {
				instances, err := r.Instances(b.ctx, tenantID)
				got := []string{}
				for _, i := range instances {
					got = append(got, i.Slug)
				}
				b.equal("slugs", got, want)
				return err
			})
		}
	}},
	{"conflicts", func(b *bench) {
		p, q := b.project(b.acme, "p"), b.project(b.acme, "q")
		one, two := b.instance(b.acme, p.ID, "one"), b.instance(b.acme, p.ID, "two")
		fresh := keys.Instance{ID: newID(), TenantID: b.acme, ProjectID: q.ID, Slug: "one"}
		b.refused("slug", func(w keys.Writer) error { return w.InsertInstance(b.ctx, &fresh) })
		two.Slug = "one"
		b.refused("slug", func(w keys.Writer) error { return w.UpdateInstance(b.ctx, &two) })
		one.Slug = "three"
		b.refused("id", func(w keys.Writer) error { return w.InsertInstance(b.ctx, &one) })
	}},
	{"delete", func(b *bench) {
		p := b.project(b.acme, "p")
		i := b.instance(b.acme, p.ID, "i")
		if err := b.save(i.ID, keys.Definition{Kind: "tool", Name: "t"}); err != nil {
			b.Fatal(err)
		}
		b.stripped(i.ID, func(k *keys.Key) *policy.Limit { return &k.Policy.InstanceIDs },
			func(w keys.Writer) error { return w.DeleteInstance(b.ctx, b.acme, i.ID) }, "instance "+i.ID)
		b.read(func(r keys.Reader) error {
			_, err := r.Definitions(b.ctx, b.acme, i.ID)
			b.notFound("Definitions", err)
			return nil
		})
		b.notSaved(b.acme, i.ID)
		i.Version = 0
		b.edit(func(w keys.Writer) error { return w.InsertInstance(b.ctx, &i) })
		b.read(func(r keys.Reader) error {
			defs, err := r.Definitions(b.ctx, b.acme, i.ID)
			b.equal("definitions of the one before", len(defs), 0)
			return err
		})
	}},
}

var definitionTests = []contractTest{
	{"replaced, byte for byte, in order", func(b *bench) {
		p := b.project(b.acme, "p")
		i, j := b.instance(b.acme, p.ID, "i"), b.instance(b.acme, p.ID, "j")
		raw := json.RawMessage(`{"b":1, "a" : 12345678901234567890.10, "n":"\u0000", "b":2}`)
		big := strings.Repeat("x", 300_000)
		before := b.epoch()
		for _, defs := range [][]keys.Definition{
			{{Kind: "tool", Name: "old", Raw: raw}},
			{{InstanceID: j.ID, Kind: "tool", Name: "b", Raw: raw, Digest: "d", SeenAt: begin}, {Kind: "tool", Name: "a-b"},
				{Kind: "tool", Name: "B"}, {Kind: "prompt", Name: "z", Raw: json.RawMessage(`"` + big + `"`)}},
		} {
			if err := b.save(i.ID, defs...); err != nil {
				b.Fatal(err)
			}
		}
		b.read(func(r keys.Reader) error {
			got, err := r.Definitions(b.ctx, b.acme, i.ID)
			b.equal("definitions", got, []keys.Definition{
				{InstanceID: i.ID, Kind: "prompt", Name: "z", Raw: json.RawMessage(`"` + big + `"`), SeenAt: time.Time{}.UTC()},
				{InstanceID: i.ID, Kind: "tool", Name: "B", SeenAt: time.Time{}.UTC()},
				{InstanceID: i.ID, Kind: "tool", Name: "a-b", SeenAt: time.Time{}.UTC()},
				{InstanceID: i.ID, Kind: "tool", Name: "b", Raw: raw, Digest: "d", SeenAt: begun, Pinned: "d"},
			})
			others, err2 := r.Definitions(b.ctx, b.acme, j.ID)
			b.equal("of another instance", len(others), 0)
			return errors.Join(err, err2)
		})
		b.equal("epoch", b.epoch(), before)
	}},
	{"none is a list too", func(b *bench) {
		p := b.project(b.acme, "p")
		i := b.instance(b.acme, p.ID, "i")
		for _, defs := range [][]keys.Definition{{{Kind: "tool", Name: "a"}}, nil} {
			if err := b.save(i.ID, defs...); err != nil {
				b.Fatal(err)
			}
			b.read(func(r keys.Reader) error {
				got, err := r.Definitions(b.ctx, b.acme, i.ID)
				b.equal("definitions", len(got), len(defs))
				return err
			})
		}
	}},
	{"a name that appears twice", func(b *bench) {
		p := b.project(b.acme, "p")
		i := b.instance(b.acme, p.ID, "i")
		save := func(defs ...keys.Definition) error { return b.save(i.ID, defs...) }
		if err := save(keys.Definition{Kind: "tool", Name: "a"}, keys.Definition{Kind: "prompt", Name: "a"}); err != nil {
			b.Fatal(err)
		}
		var conflict *keys.ConflictError
		err := save(keys.Definition{Kind: "tool", Name: "b"}, keys.Definition{Kind: "tool", Name: "b"})
		if !errors.As(err, &conflict) || conflict.Field != "name" {
			b.Errorf("got %v, want a conflict of name", err)
		}
		b.read(func(r keys.Reader) error {
			got, err := r.Definitions(b.ctx, b.acme, i.ID)
			b.equal("definitions", len(got), 2)
			return err
		})
	}},
}
