package keystest

import (
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

func at(d time.Duration) *time.Time {
	t := begin.Add(d)
	return &t
}

func kept(d time.Duration) *time.Time {
	t := begun.Add(d)
	return &t
}

// fullKey has a value in every field; kept tells its times as they come back.
func fullKey(tenantID string, at func(time.Duration) *time.Time) keys.Key {
	return keys.Key{
		TenantID: tenantID, Handle: "full", Name: "It's \"full\" ? \\ ü", Description: "d", Tags: []string{"b", "a", ""},
		Prefix: "bwk_live_abcd", Scope: policy.ScopeMCPOnly, Permissions: []string{"view:audit", "*"}, Enabled: true,
		Policy: policy.Policy{Active: true, ReadOnly: true, Preset: "custom", Permissions: policy.Only("mcp:b", "mcp:a"),
			AllowlistMode: policy.ModeDeny, ToolAllowlist: []string{"z*", "a/*", "@c"},
			ProjectIDs: policy.Only("p2", "p1"), InstanceIDs: policy.Only("i2", "i1"),
			ArgumentRules: []policy.ArgumentRule{{Tool: "b/*", Pointer: "/it's ?", Allow: []string{"z", "\"a\"*"}}, {Tool: "a", Pointer: "/x", Allow: []string{}}},
			Approvals:     []policy.ApprovalRule{{Tool: "@c", Effect: policy.EffectDestructive}, {Tool: "*", Effect: policy.EffectRead}},
			Limits:        []policy.RateLimit{{Tool: "b", Requests: 1_000_000_000, Per: policy.PerDay}, {Tool: "*", Requests: 1, Per: policy.PerSecond}}},
		Shadow: &policy.Policy{Active: true, Preset: "own", Permissions: policy.Unlimited(), AllowlistMode: policy.ModeAllow,
			ToolAllowlist: []string{"y", "x"}, ProjectIDs: policy.Only(), InstanceIDs: policy.Unlimited(),
			ArgumentRules: []policy.ArgumentRule{{Tool: "a", Pointer: "/x", Allow: []string{"v"}}},
			Approvals:     []policy.ApprovalRule{{Tool: "a", Effect: policy.EffectWrite}},
			Limits:        []policy.RateLimit{{Tool: "a", Requests: 2, Per: policy.PerHour}}},
		ProjectID: newID(), ParentKeyID: newID(), Source: "api", DeviceName: "dev", CreatedBy: "operator",
		ExpiresAt: at(time.Hour), LastUsedAt: at(time.Minute), RevokedAt: at(time.Second), RevokedBy: "me", RevokeReason: "why",
		CreatedAt: *at(0), UpdatedAt: *at(1000),
	}
}

var keyTests = []contractTest{
	{"round trip", func(b *bench) {
		k := fullKey(b.acme, at)
		k.ID = newID()
		b.complete(k, "Version")
		want := fullKey(b.acme, kept)
		want.ID, want.ProjectID, want.ParentKeyID, want.UpdatedAt = k.ID, k.ProjectID, k.ParentKeyID, begun.Add(time.Microsecond)
		want.Version = b.edit(func(w keys.Writer) error { return w.InsertKey(b.ctx, &k) })
		b.equal("what the writer gives back", k, want)
		b.equal("key", b.stored(k.ID), want)
		b.equal("changes", b.changed(want.Version-1), []string{"key " + k.ID})
	}},
	{"the zero key permits nothing", func(b *bench) {
		id := newID()
		epoch := b.edit(func(w keys.Writer) error { return w.InsertKey(b.ctx, &keys.Key{ID: id, TenantID: b.acme}) })
		b.equal("key", b.stored(id), keys.Key{ID: id, TenantID: b.acme, Tags: []string{}, Permissions: []string{},
			Policy: policy.Policy{ToolAllowlist: []string{}, ArgumentRules: []policy.ArgumentRule{},
				Approvals: []policy.ApprovalRule{}, Limits: []policy.RateLimit{}}, Version: epoch})
	}},
	{"null, none and some in each nullable list", func(b *bench) {
		limits := map[string]policy.Limit{"null": policy.Unlimited(), "none": policy.Only(), "some": policy.Only("b", "a")}
		fields := map[string]func(*policy.Policy) *policy.Limit{
			"permissions": func(p *policy.Policy) *policy.Limit { return &p.Permissions },
			"projects":    func(p *policy.Policy) *policy.Limit { return &p.ProjectIDs },
			"instances":   func(p *policy.Policy) *policy.Limit { return &p.InstanceIDs },
		}
		for field, of := range fields {
			for name, l := range limits {
				k := b.key(b.acme, field+"-"+name, func(k *keys.Key) { *of(&k.Policy) = l })
				got := b.stored(k.ID)
				b.equal(field+" inserted as "+name, *of(&got.Policy), l)
				for name, l := range limits {
					*of(&k.Policy) = l
					b.edit(func(w keys.Writer) error { return w.UpdateKey(b.ctx, &k) })
					got := b.stored(k.ID)
					b.equal(field+" updated to "+name, *of(&got.Policy), l)
					b.equal("key", got, k)
				}
			}
		}
	}},
	{"update", func(b *bench) {
		old := b.key(b.acme, "old", func(k *keys.Key) { k.LastUsedAt, k.ExpiresAt = at(time.Minute), at(time.Hour) })
		k := fullKey(b.acme, at)
		k.ID, k.RevokedAt, k.LastUsedAt, k.ExpiresAt, k.CreatedAt = old.ID, nil, nil, nil, *at(time.Hour)
		want := k
		want.Version = b.edit(func(w keys.Writer) error { return w.UpdateKey(b.ctx, &k) })
		want.UpdatedAt = begun.Add(time.Microsecond)
		want.Handle, want.Scope, want.ProjectID, want.ExpiresAt = old.Handle, old.Scope, old.ProjectID, old.ExpiresAt
		want.LastUsedAt, want.CreatedAt = old.LastUsedAt, old.CreatedAt
		b.equal("key", b.stored(k.ID), want)
		b.equal("what the writer gives back", k, want)
		b.equal("changes", b.changed(want.Version-1), []string{"key " + k.ID})
	}},
	{"handles", func(b *bench) {
		k := b.key(b.acme, "h")
		b.key(b.other, "h") // another tenant's
		fresh := someKey(b.acme, "h")
		insert := func(w keys.Writer) error { return w.InsertKey(b.ctx, &fresh) }
		b.refused("handle", insert)
		b.read(func(r keys.Reader) error {
			got, err := r.KeyByHandle(b.ctx, b.acme, "h")
			b.equal("by handle", got, k)
			_, upper := r.KeyByHandle(b.ctx, b.acme, "H")
			b.notFound("a handle in capitals", upper)
			return err
		})
		k.RevokedAt = at(0)
		b.edit(func(w keys.Writer) error { return w.UpdateKey(b.ctx, &k) })
		b.read(func(r keys.Reader) error {
			_, err := r.KeyByHandle(b.ctx, b.acme, "h")
			b.notFound("a revoked key by its handle", err)
			return nil
		})
		b.edit(insert)
		k.RevokedAt = nil
		b.refused("handle", func(w keys.Writer) error { return w.UpdateKey(b.ctx, &k) })
		twice := someKey(b.acme, "h")
		twice.RevokedAt = at(0)
		b.edit(func(w keys.Writer) error { return w.InsertKey(b.ctx, &twice) }) // a revoked one needs no free handle
	}},
	{"an expired key keeps its handle", func(b *bench) {
		k := b.key(b.acme, "h", func(k *keys.Key) { k.ExpiresAt = &begin })
		b.read(func(r keys.Reader) error {
			got, err := r.KeyByHandle(b.ctx, b.acme, "h")
			b.equal("key", got, k)
			return err
		})
		fresh := someKey(b.acme, "h")
		b.refused("handle", func(w keys.Writer) error { return w.InsertKey(b.ctx, &fresh) })
	}},
	{"an id is taken in every tenant", func(b *bench) {
		k := b.key(b.acme, "h")
		fresh := someKey(b.other, "h2")
		fresh.ID = k.ID
		b.refused("id", func(w keys.Writer) error { return w.InsertKey(b.ctx, &fresh) })
	}},
	{"purge", func(b *bench) {
		k := someKey(b.acme, "h")
		b.edit(func(w keys.Writer) error { return w.InsertKey(b.ctx, &k, keys.KeySecret{Hash: [32]byte{1}}) })
		child := b.key(b.acme, "child", func(c *keys.Key) { c.ParentKeyID = k.ID })
		epoch := b.edit(func(w keys.Writer) error { return w.DeleteKey(b.ctx, b.acme, k.ID) })
		b.equal("changes", b.changed(epoch-1), []string{"key " + k.ID})
		b.read(func(r keys.Reader) error {
			_, err := r.Key(b.ctx, b.acme, k.ID)
			b.notFound("Key", err)
			_, _, err = r.KeyByHash(b.ctx, [32]byte{1})
			b.notFound("KeyByHash", err)
			return nil
		})
		b.equal("the child, with a parent that is no more", b.stored(child.ID), child)
		again := someKey(b.acme, "h")
		b.edit(func(w keys.Writer) error { return w.InsertKey(b.ctx, &again, keys.KeySecret{Hash: [32]byte{1}}) })
	}},
	{"last use", func(b *bench) {
		never, used := b.key(b.acme, "never"), b.key(b.other, "used", func(k *keys.Key) { k.LastUsedAt = at(time.Hour) })
		before := b.epoch()
		touch := func(d time.Duration) {
			b.Helper()
			err := b.store.TouchKeys(b.ctx, map[string]time.Time{never.ID: *at(d), used.ID: *at(d), newID(): begin, "nul\x00": begin})
			if err != nil {
				b.Fatal(err)
			}
		}
		for _, step := range []struct{ touch, never, used time.Duration }{
			{time.Minute, time.Minute, time.Hour}, {time.Second, time.Minute, time.Hour}, {2 * time.Hour, 2 * time.Hour, 2 * time.Hour},
			{2*time.Hour + time.Microsecond, 2*time.Hour + time.Microsecond, 2*time.Hour + time.Microsecond},
			{2 * time.Hour, 2*time.Hour + time.Microsecond, 2*time.Hour + time.Microsecond},
		} {
			touch(step.touch)
			never.LastUsedAt, used.LastUsedAt = kept(step.never), kept(step.used)
			b.equal("a key never used before", b.stored(never.ID), never) // version and updatedAt as before
			b.equal("a key used before", b.stored(used.ID), used)
		}
		if err := b.store.TouchKeys(b.ctx, nil); err != nil {
			b.Error(err)
		}
		b.equal("epoch", b.epoch(), before)
		b.equal("changes", b.changed(before), []string{})
	}},
}
