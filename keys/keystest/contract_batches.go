package keystest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// manyKeys are n keys to be inserted, each with a secret.
func manyKeys(tenantID string, n int) ([]keys.Key, []keys.KeySecret) {
	made, secrets := make([]keys.Key, n), make([]keys.KeySecret, n)
	for i := range n {
		made[i] = someKey(tenantID, newID())
		secrets[i] = keys.KeySecret{Hash: sha256.Sum256([]byte(made[i].ID)), Pepper: 2, Imported: true, CreatedAt: begin, ExpiresAt: at(time.Hour)}
	}
	return made, secrets
}

func (b *bench) handles(tenantID string) []string {
	b.Helper()
	var handles []string
	b.read(func(r keys.Reader) (err error) {
		handles, err = r.Handles(b.ctx, tenantID)
		return err
	})
	slices.Sort(handles)
	return handles
}

var batchTests = []contractTest{
	{"keys at once", func(b *bench) {
		made, secrets := manyKeys(b.acme, 1201)
		full := fullKey(b.acme, at)
		full.ID = newID()
		made[1200] = full
		epoch := b.edit(func(w keys.Writer) error { return w.InsertKeys(b.ctx, made, secrets) })
		want := []string{}
		for _, k := range made {
			want = append(want, "key "+k.ID)
		}
		changed := b.changed(epoch - 1)
		slices.Sort(changed)
		slices.Sort(want)
		b.equal("changes", changed, want)
		b.read(func(r keys.Reader) error {
			for _, i := range []int{0, 600, 1200} {
				got, secret, err := r.KeyByHash(b.ctx, secrets[i].Hash)
				if err != nil {
					return err
				}
				b.equal("what the writer gives back", made[i], got)
				b.equal("version", got.Version, epoch)
				b.equal("secret", secret, keys.KeySecret{KeyID: made[i].ID, TenantID: b.acme, Hash: secrets[i].Hash,
					Pepper: 2, Imported: true, CreatedAt: begun, ExpiresAt: kept(time.Hour)})
			}
			return nil
		})
		b.equal("the full one", b.stored(full.ID).Policy, full.Policy)
		b.equal("none", b.failed(func(w keys.Writer) error {
			p := keys.Project{ID: newID(), TenantID: b.acme, Slug: "p"}
			return errors.Join(w.InsertKeys(b.ctx, nil, nil), w.InsertProject(b.ctx, &p))
		}), nil)
	}},
	{"keys at once: all or none", func(b *bench) {
		taken := someKey(b.acme, "taken")
		b.edit(func(w keys.Writer) error { return w.InsertKey(b.ctx, &taken, keys.KeySecret{Hash: [32]byte{9}}) })
		b.key(b.other, "elsewhere")
		b.key(b.acme, "gone", func(k *keys.Key) { k.RevokedAt = &begin })
		for _, c := range []struct {
			field string
			spoil func(made []keys.Key, secrets []keys.KeySecret)
		}{
			{"handle", func(made []keys.Key, _ []keys.KeySecret) { made[2].Handle = "taken" }},
			{"handle", func(made []keys.Key, _ []keys.KeySecret) { made[2].Handle = made[0].Handle }},
			{"key", func(_ []keys.Key, secrets []keys.KeySecret) { secrets[2].Hash = [32]byte{9} }},
			{"key", func(_ []keys.Key, secrets []keys.KeySecret) { secrets[2].Hash = secrets[0].Hash }},
			{"id", func(made []keys.Key, _ []keys.KeySecret) { made[2].ID = taken.ID }},
			{"id", func(made []keys.Key, _ []keys.KeySecret) { made[2].ID = made[0].ID }},
		} {
			made, secrets := manyKeys(b.acme, 3)
			c.spoil(made, secrets)
			b.refused(c.field, func(w keys.Writer) error { return w.InsertKeys(b.ctx, made, secrets) })
			b.edit(func(w keys.Writer) error { // nothing is half done when one goes on
				_ = w.InsertKeys(b.ctx, made, secrets)
				k := someKey(b.acme, newID())
				return w.InsertKey(b.ctx, &k)
			})
			b.read(func(r keys.Reader) error {
				_, err := r.Key(b.ctx, b.acme, made[1].ID)
				b.notFound("a key of a refused batch", err)
				_, _, err = r.KeyByHash(b.ctx, secrets[1].Hash)
				b.notFound("a secret of a refused batch", err)
				return nil
			})
		}
		made, secrets := manyKeys(b.acme, 3)
		made[0].Handle, made[1].Handle, made[1].RevokedAt = "elsewhere", "taken", &begin // no conflicts
		made[2].Handle = "gone"
		b.edit(func(w keys.Writer) error { return w.InsertKeys(b.ctx, made, secrets) })
		foreign, secrets := manyKeys(newID(), 1)
		b.missing("InsertKeys", func(w keys.Writer) error { return w.InsertKeys(b.ctx, foreign, secrets) })
		bad, secrets := manyKeys(b.acme, 2)
		bad[1].Name = "nul\x00"
		b.invalid("name", b.failed(func(w keys.Writer) error { return w.InsertKeys(b.ctx, bad, secrets) }))
		if err := b.failed(func(w keys.Writer) error { return w.InsertKeys(b.ctx, bad, secrets[:1]) }); err == nil {
			b.Error("accepted with a secret too few")
		}
	}},
	{"handles of live keys", func(b *bench) {
		b.key(b.acme, "b")
		b.key(b.acme, "a", func(k *keys.Key) { k.ExpiresAt = &begin })
		b.key(b.acme, "gone", func(k *keys.Key) { k.RevokedAt = &begin })
		b.key(b.other, "foreign")
		b.equal("handles", b.handles(b.acme), []string{"a", "b"})
		for _, id := range nowhere() {
			b.equal("handles of nobody", len(b.handles(id)), 0)
		}
	}},
	{"hashes that are taken", func(b *bench) {
		one, two := someKey(b.acme, "one"), someKey(b.other, "two")
		two.RevokedAt = &begin
		b.edit(func(w keys.Writer) error {
			return errors.Join(w.InsertKey(b.ctx, &one, keys.KeySecret{Hash: [32]byte{1}}, keys.KeySecret{Hash: [32]byte{2, '\''}}),
				w.InsertKey(b.ctx, &two, keys.KeySecret{Hash: [32]byte{3}}))
		})
		ask := [][32]byte{{0}, {2, '\''}, {3}, {4}}
		for i := range 2000 {
			ask = append(ask, [32]byte{5, byte(i >> 8), byte(i)})
		}
		b.read(func(r keys.Reader) error {
			got, err := r.TakenHashes(b.ctx, ask)
			slices.SortFunc(got, func(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) })
			b.equal("taken", got, [][32]byte{{2, '\''}, {3}})
			none, err2 := r.TakenHashes(b.ctx, nil)
			b.equal("of none", len(none), 0)
			return errors.Join(err, err2)
		})
	}},
	{"audit entries at once", func(b *bench) {
		entries := make([]keys.AuditEntry, 1201)
		for i := range entries {
			entries[i] = b.changeEntry()
			entries[i].Action = strings.Repeat("x", i%7)
		}
		k := someKey(b.acme, "k")
		epoch := b.edit(func(w keys.Writer) error { return errors.Join(w.InsertKey(b.ctx, &k), w.Record(b.ctx, entries...)) })
		b.read(func(r keys.Reader) error {
			got, err := r.Audit(b.ctx, b.acme, keys.AuditQuery{Limit: 5000})
			n := 0
			for _, e := range got {
				if e.Epoch == epoch {
					n++
				}
			}
			b.equal("entries of the edit", n, 1202)
			return err
		})
		entries[0].ID, entries[1].ID = newID(), newID()
		b.refused("id", func(w keys.Writer) error {
			k := someKey(b.acme, "k2")
			return errors.Join(w.InsertKey(b.ctx, &k), w.Record(b.ctx, entries...))
		})
	}},
}
