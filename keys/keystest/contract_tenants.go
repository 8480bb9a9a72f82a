package keystest

import (
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// somePolicy has another value in each field than the zero one.
func somePolicy() policy.Policy {
	return policy.Policy{Active: true, ReadOnly: true, Preset: "own", Permissions: policy.Only("mcp:b", "mcp:a"),
		AllowlistMode: policy.ModeDeny, ToolAllowlist: []string{"b <&>", "a"},
		ProjectIDs: policy.Unlimited(), InstanceIDs: policy.Only()}
}

var tenantTests = []contractTest{
	{"round trip by id and by slug", func(b *bench) {
		want := keys.Tenant{ID: b.acme, Slug: "acme", Name: "Acme", MCPEnabled: true, AuditArguments: true, JWTPolicy: somePolicy(), CreatedAt: begun, UpdatedAt: begun, Version: 1}
		b.read(func(r keys.Reader) error {
			for _, name := range []string{b.acme, "acme"} {
				got, err := r.Tenant(b.ctx, name)
				if err != nil {
					return err
				}
				b.equal("tenant", got, want)
			}
			return nil
		})
	}},
	{"an id comes before a slug", func(b *bench) {
		b.edit(func(w keys.Writer) error { return w.InsertTenant(b.ctx, &keys.Tenant{ID: newID(), Slug: b.acme}) })
		b.read(func(r keys.Reader) error {
			got, err := r.Tenant(b.ctx, b.acme)
			b.equal("slug", got.Slug, "acme")
			return err
		})
	}},
	{"listed by slug, byte by byte", func(b *bench) {
		for _, slug := range []string{"b", "a-b", "a0", "a"} {
			b.edit(func(w keys.Writer) error { return w.InsertTenant(b.ctx, &keys.Tenant{ID: newID(), Slug: slug}) })
		}
		b.read(func(r keys.Reader) error {
			tenants, err := r.Tenants(b.ctx)
			got := []string{}
			for _, t := range tenants {
				got = append(got, t.Slug)
			}
			b.equal("slugs", got, []string{"a", "a-b", "a0", "acme", "b", "other"})
			return err
		})
	}},
	{"update", func(b *bench) {
		t := keys.Tenant{ID: b.acme, Slug: "acme-2", Name: "Two", CreatedAt: begin.Add(time.Hour), UpdatedAt: begin.Add(time.Hour), Version: 77,
			JWTPolicy: policy.Policy{Permissions: policy.Unlimited(), ProjectIDs: policy.Only("p")}}
		before := b.epoch()
		epoch := b.edit(func(w keys.Writer) error { return w.UpdateTenant(b.ctx, &t) })
		want := keys.Tenant{ID: b.acme, Slug: "acme-2", Name: "Two", CreatedAt: begun, UpdatedAt: begun.Add(time.Hour), Version: epoch,
			JWTPolicy: policy.Policy{Permissions: policy.Unlimited(), ToolAllowlist: []string{}, ProjectIDs: policy.Only("p")}}
		b.equal("what the writer gives back", t, want)
		b.read(func(r keys.Reader) error {
			got, err := r.Tenant(b.ctx, "acme-2")
			b.equal("tenant", got, want)
			return err
		})
		b.equal("changes", b.changed(before), []string{"tenant " + b.acme})
		b.missing("UpdateTenant", func(w keys.Writer) error {
			return w.UpdateTenant(b.ctx, &keys.Tenant{ID: newID(), Slug: "new"})
		})
	}},
	{"conflicts", func(b *bench) {
		b.refused("slug", func(w keys.Writer) error { return w.InsertTenant(b.ctx, &keys.Tenant{ID: newID(), Slug: "acme"}) })
		b.refused("slug", func(w keys.Writer) error { return w.UpdateTenant(b.ctx, &keys.Tenant{ID: b.other, Slug: "acme"}) })
		b.refused("id", func(w keys.Writer) error { return w.InsertTenant(b.ctx, &keys.Tenant{ID: b.acme, Slug: "new"}) })
	}},
}

var projectTests = []contractTest{
	{"round trip, list and update", func(b *bench) {
		for _, slug := range []string{"b", "a-b", "a0", "a"} {
			b.project(b.acme, slug)
		}
		b.project(b.other, "a") // a slug is the tenant's
		b.read(func(r keys.Reader) error {
			projects, err := r.Projects(b.ctx, b.acme)
			got := []string{}
			for _, p := range projects {
				got = append(got, p.Slug)
			}
			b.equal("slugs", got, []string{"a", "a-b", "a0", "b"})
			return err
		})
		p := b.project(b.acme, "old")
		p.Slug, p.Name, p.CreatedAt, p.UpdatedAt = "new", "New", begin.Add(time.Hour), begin.Add(time.Hour)
		epoch := b.edit(func(w keys.Writer) error { return w.UpdateProject(b.ctx, &p) })
		want := keys.Project{ID: p.ID, TenantID: b.acme, Slug: "new", Name: "New", CreatedAt: begun, UpdatedAt: begun.Add(time.Hour), Version: epoch}
		b.equal("what the writer gives back", p, want)
		b.read(func(r keys.Reader) error {
			got, err := r.Project(b.ctx, b.acme, p.ID)
			b.equal("project", got, want)
			return err
		})
		b.equal("changes", b.changed(epoch-1), []string{"project " + p.ID})
	}},
	{"conflicts", func(b *bench) {
		one, two := b.project(b.acme, "one"), b.project(b.acme, "two")
		b.refused("slug", func(w keys.Writer) error {
			return w.InsertProject(b.ctx, &keys.Project{ID: newID(), TenantID: b.acme, Slug: "one"})
		})
		b.refused("slug", func(w keys.Writer) error {
			return w.UpdateProject(b.ctx, &keys.Project{ID: two.ID, TenantID: b.acme, Slug: "one"})
		})
		b.refused("id", func(w keys.Writer) error {
			return w.InsertProject(b.ctx, &keys.Project{ID: one.ID, TenantID: b.acme, Slug: "three"})
		})
	}},
	{"delete", func(b *bench) {
		p := b.project(b.acme, "p")
		i := b.instance(b.acme, p.ID, "i")
		b.refused("", func(w keys.Writer) error { return w.DeleteProject(b.ctx, b.acme, p.ID) })
		b.edit(func(w keys.Writer) error { return w.DeleteInstance(b.ctx, b.acme, i.ID) })
		epoch := b.edit(func(w keys.Writer) error { return w.DeleteProject(b.ctx, b.acme, p.ID) })
		b.equal("changes", b.changed(epoch-1), []string{"project " + p.ID})
		b.missing("DeleteProject again", func(w keys.Writer) error { return w.DeleteProject(b.ctx, b.acme, p.ID) })
		b.project(b.acme, "p") // the slug is free again
	}},
	{"delete takes the id off the keys' lists", func(b *bench) {
		p := b.project(b.acme, "p")
		b.stripped(p.ID, func(k *keys.Key) *policy.Limit { return &k.Policy.ProjectIDs },
			func(w keys.Writer) error { return w.DeleteProject(b.ctx, b.acme, p.ID) }, "project "+p.ID)
	}},
	{"delete leaves a key's confinement", func(b *bench) {
		p := b.project(b.acme, "p")
		k := b.key(b.acme, "k", func(k *keys.Key) { k.ProjectID = p.ID })
		b.edit(func(w keys.Writer) error { return w.DeleteProject(b.ctx, b.acme, p.ID) })
		b.equal("key", b.stored(k.ID), k)
	}},
}

// stripped checks what deleting gone does to the keys that list it.
func (b *bench) stripped(gone string, limit func(*keys.Key) *policy.Limit, remove func(w keys.Writer) error, change string) {
	b.Helper()
	rest := newID()
	with := func(l policy.Limit) func(*keys.Key) { return func(k *keys.Key) { *limit(k) = l } }
	last := b.key(b.acme, "last", with(policy.Only(gone)))
	one := b.key(b.acme, "one-of-two", with(policy.Only(rest, gone)))
	revoked := b.key(b.acme, "revoked", with(policy.Only(gone)), func(k *keys.Key) { k.RevokedAt = &begin })
	free := b.key(b.acme, "free", with(policy.Unlimited()))
	none := b.key(b.acme, "none", with(policy.Only()))
	foreign := b.key(b.other, "foreign", with(policy.Only(gone)))
	epoch := b.edit(remove)

	for _, k := range []keys.Key{free, none, foreign} {
		b.equal("a key that lists it not", b.stored(k.ID), k)
	}
	want := []string{}
	for _, k := range []keys.Key{last, one, revoked} {
		*limit(&k) = policy.Only()
		if k.ID == one.ID {
			*limit(&k) = policy.Only(rest)
		}
		got := b.stored(k.ID)
		if got.UpdatedAt.Before(k.UpdatedAt) {
			b.Errorf("%s was updated at %s", k.Handle, got.UpdatedAt)
		}
		k.Version, k.UpdatedAt = epoch, got.UpdatedAt
		b.equal("key "+k.Handle, got, k)
		want = append(want, "key "+k.ID)
	}
	b.equal("changes", sortedStrings(b.changed(epoch-1)), sortedStrings(append(want, change)))
}
