package keystest

import (
	"errors"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

var secretTests = []contractTest{
	{"round trip", func(b *bench) {
		k := someKey(b.acme, "k")
		hash := [32]byte{0, 1, 2, '\'', 0xff}
		insert := func(w keys.Writer) error {
			return w.InsertKey(b.ctx, &k,
				keys.KeySecret{KeyID: "ignored", TenantID: b.other, Hash: hash, Pepper: 3, Imported: true, CreatedAt: begin, ExpiresAt: at(time.Hour)},
				keys.KeySecret{Hash: [32]byte{2}, CreatedAt: *at(time.Second)})
		}
		b.edit(insert)
		older := keys.KeySecret{KeyID: k.ID, TenantID: b.acme, Hash: hash, Pepper: 3, Imported: true, CreatedAt: begun, ExpiresAt: kept(time.Hour)}
		newer := keys.KeySecret{KeyID: k.ID, TenantID: b.acme, Hash: [32]byte{2}, CreatedAt: *kept(time.Second)}
		b.read(func(r keys.Reader) error {
			key, secret, err1 := r.KeyByHash(b.ctx, hash)
			b.equal("key", key, k)
			b.equal("secret", secret, older)
			secrets, err2 := r.Secrets(b.ctx, b.acme, k.ID)
			b.equal("newest first", secrets, []keys.KeySecret{newer, older})
			return errors.Join(err1, err2)
		})
	}},
	{"the secret of a revoked key", func(b *bench) {
		k := someKey(b.acme, "k")
		k.RevokedAt = &begin
		b.edit(func(w keys.Writer) error { return w.InsertKey(b.ctx, &k, keys.KeySecret{Hash: [32]byte{1}}) })
		b.read(func(r keys.Reader) error {
			got, _, err := r.KeyByHash(b.ctx, [32]byte{1})
			b.equal("key", got, k)
			return err
		})
	}},
	{"replace", func(b *bench) {
		k := someKey(b.acme, "k")
		b.edit(func(w keys.Writer) error { return w.InsertKey(b.ctx, &k, keys.KeySecret{Hash: [32]byte{1}}) })
		epoch := b.edit(func(w keys.Writer) error {
			return w.PutSecrets(b.ctx, b.acme, k.ID, keys.KeySecret{Hash: [32]byte{2}, CreatedAt: *at(1)},
				keys.KeySecret{Hash: [32]byte{3}, CreatedAt: begin})
		})
		k.Version = epoch // what the key accepts is part of the key
		b.equal("key", b.stored(k.ID), k)
		b.equal("changes", b.changed(epoch-1), []string{"key " + k.ID})
		b.read(func(r keys.Reader) error {
			_, _, gone := r.KeyByHash(b.ctx, [32]byte{1})
			b.notFound("the replaced secret", gone)
			_, _, err1 := r.KeyByHash(b.ctx, [32]byte{2})
			_, _, err2 := r.KeyByHash(b.ctx, [32]byte{3})
			return errors.Join(err1, err2)
		})
		// One of the present ones may stay, and none may be left.
		b.edit(func(w keys.Writer) error { return w.PutSecrets(b.ctx, b.acme, k.ID, keys.KeySecret{Hash: [32]byte{3}}) })
		b.edit(func(w keys.Writer) error { return w.PutSecrets(b.ctx, b.acme, k.ID) })
		b.read(func(r keys.Reader) error {
			secrets, err := r.Secrets(b.ctx, b.acme, k.ID)
			b.equal("secrets", secrets, []keys.KeySecret{})
			return err
		})
	}},
	{"a hash belongs to one key", func(b *bench) {
		one, two := someKey(b.acme, "one"), someKey(b.other, "two")
		b.edit(func(w keys.Writer) error { return w.InsertKey(b.ctx, &one, keys.KeySecret{Hash: [32]byte{1}}) })
		fresh := keys.KeySecret{Hash: [32]byte{2}}
		b.refused("key", func(w keys.Writer) error { return w.InsertKey(b.ctx, &two, fresh, keys.KeySecret{Hash: [32]byte{1}}) })
		b.refused("key", func(w keys.Writer) error { return w.InsertKey(b.ctx, &two, fresh, fresh) })
		b.edit(func(w keys.Writer) error { return w.InsertKey(b.ctx, &two, fresh) })
		b.refused("key", func(w keys.Writer) error {
			return w.PutSecrets(b.ctx, b.other, two.ID, keys.KeySecret{Hash: [32]byte{3}}, keys.KeySecret{Hash: [32]byte{1}})
		})
	}},
	{"nothing is half done when one goes on after a conflict", func(b *bench) {
		one, two := someKey(b.acme, "one"), someKey(b.acme, "two")
		b.edit(func(w keys.Writer) error { return w.InsertKey(b.ctx, &one, keys.KeySecret{Hash: [32]byte{1}}) })
		fresh := keys.KeySecret{Hash: [32]byte{2}}
		b.edit(func(w keys.Writer) error {
			taken := keys.KeySecret{Hash: [32]byte{1}}
			if err := w.InsertKey(b.ctx, &two, fresh, taken); err == nil {
				b.Error("a taken hash was inserted")
			}
			if _, err := w.Key(b.ctx, b.acme, two.ID); !errors.Is(err, keys.ErrNotFound) {
				b.Errorf("the key without its secrets: %v", err)
			}
			if err := w.InsertKey(b.ctx, &two, fresh); err != nil {
				return err
			}
			if err := w.PutSecrets(b.ctx, b.acme, two.ID, keys.KeySecret{Hash: [32]byte{3}}, taken); err == nil {
				b.Error("a taken hash was put")
			}
			return nil
		})
		b.read(func(r keys.Reader) error {
			got, _, err := r.KeyByHash(b.ctx, [32]byte{2})
			b.equal("key", got, two)
			return err
		})
	}},
}
