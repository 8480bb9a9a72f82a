package keystest

import (
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

func somePreset(tenantID, name string) keys.Preset {
	return keys.Preset{TenantID: tenantID, Name: name, CreatedAt: begin, UpdatedAt: begin,
		Preset: policy.Preset{Permissions: []string{"mcp:b", "mcp:a"}, MaxEffect: policy.EffectWrite}}
}

var presetTests = []contractTest{
	{"round trip, list and update", func(b *bench) {
		for _, name := range []string{"b", "a-b", "a0"} {
			p := somePreset(b.acme, name)
			epoch := b.edit(func(w keys.Writer) error { return w.InsertPreset(b.ctx, &p) })
			want := somePreset(b.acme, name)
			want.CreatedAt, want.UpdatedAt, want.Version = begun, begun, epoch
			b.equal("what the writer gives back", p, want)
			b.read(func(r keys.Reader) error {
				got, err := r.Preset(b.ctx, b.acme, name)
				b.equal("preset", got, want)
				return err
			})
			b.equal("changes", b.changed(epoch-1), []string{"preset " + name})
		}
		foreign := somePreset(b.other, "b")
		b.edit(func(w keys.Writer) error { return w.InsertPreset(b.ctx, &foreign) })
		b.read(func(r keys.Reader) error {
			presets, err := r.Presets(b.ctx, b.acme)
			got := []string{}
			for _, p := range presets {
				got = append(got, p.Name)
			}
			b.equal("names", got, []string{"a-b", "a0", "b"})
			return err
		})
		changed := keys.Preset{TenantID: b.acme, Name: "b", CreatedAt: begin.Add(time.Hour), UpdatedAt: begin.Add(time.Hour)}
		epoch := b.edit(func(w keys.Writer) error { return w.UpdatePreset(b.ctx, &changed) })
		b.read(func(r keys.Reader) error {
			got, err := r.Preset(b.ctx, b.acme, "b")
			b.equal("preset", got, keys.Preset{TenantID: b.acme, Name: "b", Preset: policy.Preset{Permissions: []string{}},
				CreatedAt: begun, UpdatedAt: begun.Add(time.Hour), Version: epoch})
			b.equal("what the writer gives back", changed, got)
			return err
		})
	}},
	{"conflicts", func(b *bench) {
		p := somePreset(b.acme, "p")
		b.edit(func(w keys.Writer) error { return w.InsertPreset(b.ctx, &p) })
		b.refused("name", func(w keys.Writer) error { return w.InsertPreset(b.ctx, &p) })
	}},
	{"delete of one in use", func(b *bench) {
		p := somePreset(b.acme, "p")
		b.edit(func(w keys.Writer) error { return w.InsertPreset(b.ctx, &p) })
		uses := func(k *keys.Key) { k.Policy.Preset = "p" }
		expired := b.key(b.acme, "expired", uses, func(k *keys.Key) { k.ExpiresAt = &begin })
		b.key(b.acme, "revoked", uses, func(k *keys.Key) { k.RevokedAt = &begin })
		b.key(b.other, "foreign", uses)
		remove := func(w keys.Writer) error { return w.DeletePreset(b.ctx, b.acme, "p") }
		b.refused("", remove)
		b.edit(func(w keys.Writer) error { return w.DeleteKey(b.ctx, b.acme, expired.ID) })
		epoch := b.edit(remove)
		b.equal("changes", b.changed(epoch-1), []string{"preset p"})
		b.missing("DeletePreset again", remove)
	}},
}
