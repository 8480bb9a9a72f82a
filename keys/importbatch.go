package keys

import (
	"context"
	"errors"
)

// batch makes many keys of one tenant in one edit. What CreateKey looks up for
// one key it reads once for all of them, and it writes them at once.
type batch struct {
	*edit
	store  Writer
	hashes map[[32]byte]bool // taken, by keys that are there or of this batch

	made    []Key
	secrets []KeySecret
}

func (e *edit) newBatch(ctx context.Context, list []ImportedKey) (*batch, error) {
	known, err := prefetch(ctx, e.Writer, e.who.Tenant())
	if err != nil {
		return nil, err
	}
	b := &batch{edit: e, store: e.Writer, hashes: map[[32]byte]bool{}}
	b.edit.Writer = known
	hashes := make([][32]byte, 0, len(list))
	for i := range list {
		hashes = append(hashes, e.svc.derived.hashes(list[i].Digest)...)
	}
	taken, err := b.store.TakenHashes(ctx, hashes)
	for _, hash := range taken {
		b.hashes[hash] = true
	}
	return b, err
}

// maxImported bounds what one import writes, in bytes of its audit entries, which say
// all of each key: a short request may have 10,000 keys get long lists of the key that
// makes them, and no edit of anybody's comes before it is done.
const maxImported = 32 << 20

// full is the fault of every entry from where there is too much on.
func (b *batch) full() error {
	if b.Writer.(*known).written <= maxImported {
		return nil
	}
	var f faults
	f.add("keys", "come to more than %d MiB, with what they get of your own key: import fewer at once", maxImported>>20)
	return f.err()
}

// hashes are those of a digest under every version of the root secret, the
// current one first.
func (d *derived) hashes(digest [32]byte) [][32]byte {
	out := make([][32]byte, len(d.byAge))
	for i, v := range d.byAge {
		out[i] = v.hash(digest)
	}
	return out
}

// add checks an entry and makes its key, which write writes.
func (b *batch) add(ctx context.Context, in *ImportedKey) error {
	if err := b.full(); err != nil {
		return err
	}
	var f faults
	in.check(&f)
	k, err := b.newKey(ctx, &in.NewKey)
	var invalid *InvalidError
	if errors.As(err, &invalid) {
		f, err = append(f, invalid.Fields...), nil
	}
	if err == nil {
		err = f.err()
	}
	if err != nil {
		return err
	}
	hashes := b.svc.derived.hashes(in.Digest)
	for _, hash := range hashes {
		if b.hashes[hash] {
			return &ConflictError{Field: "hash", Problem: "another key has this token"}
		}
	}
	if k.ID, err = b.svc.ids.next(); err != nil {
		return err
	}
	k.Prefix, k.CreatedAt, k.UpdatedAt, k.Version = in.Prefix, b.now, b.now, b.Epoch()
	if _, err := b.log(ctx, k.ID, nil, k.fields()); err != nil {
		return err
	}
	b.hashes[hashes[0]] = true
	b.made = append(b.made, k)
	b.secrets = append(b.secrets, KeySecret{
		KeyID: k.ID, TenantID: k.TenantID, Hash: hashes[0], Pepper: b.svc.derived.current, Imported: true, CreatedAt: b.now,
	})
	b.Writer.(*known).add(&k)
	return nil
}

func (b *batch) write(ctx context.Context) error {
	if err := b.store.InsertKeys(ctx, b.made, b.secrets); err != nil {
		return err
	}
	if err := b.store.Record(ctx, b.Writer.(*known).entries...); err != nil {
		return err
	}
	_, err := b.store.Meta(ctx, importsMeta)
	if isNotFound(err) {
		err = b.store.PutMeta(ctx, importsMeta, "yes")
	}
	return err
}

// known is a Writer that has what new keys refer to at hand, and keeps their
// audit entries back.
type known struct {
	Writer
	tenant    Tenant
	handles   map[string]bool
	presets   []Preset
	projects  map[string]Project
	instances map[string]Instance
	parents   map[string]parent
	children  map[string][]Key // by parent, those of the batch too
	entries   []AuditEntry
	written   int // bytes of their details
}

// parent is a key that was looked for.
type parent struct {
	key Key
	err error
}

func prefetch(ctx context.Context, w Writer, t Tenant) (*known, error) {
	k := &known{
		Writer: w, tenant: t, handles: map[string]bool{}, projects: map[string]Project{}, instances: map[string]Instance{},
		parents: map[string]parent{}, children: map[string][]Key{},
	}
	handles, err1 := w.Handles(ctx, t.ID)
	presets, err2 := w.Presets(ctx, t.ID)
	projects, err3 := w.Projects(ctx, t.ID)
	instances, err4 := w.Instances(ctx, t.ID)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, err
	}
	for _, handle := range handles {
		k.handles[handle] = true
	}
	k.presets = presets
	for _, p := range projects {
		k.projects[p.ID] = p
	}
	for _, i := range instances {
		k.instances[i.ID] = i
	}
	return k, nil
}

// add notes a key of the batch for those that come after it.
func (k *known) add(made *Key) {
	k.handles[made.Handle] = true
	if made.ParentKeyID != "" {
		k.children[made.ParentKeyID] = append(k.children[made.ParentKeyID], *made)
	}
}

func (k *known) Tenant(ctx context.Context, idOrSlug string) (Tenant, error) {
	if idOrSlug == k.tenant.ID {
		return k.tenant, nil
	}
	return k.Writer.Tenant(ctx, idOrSlug)
}

// KeyByHandle tells whether there is a key; it answers none of its fields.
func (k *known) KeyByHandle(_ context.Context, _, handle string) (Key, error) {
	return pick(Key{}, k.handles[handle])
}

func (k *known) Presets(context.Context, string) ([]Preset, error) { return k.presets, nil }

func (k *known) Preset(_ context.Context, _, name string) (Preset, error) {
	for _, p := range k.presets {
		if p.Name == name {
			return p, nil
		}
	}
	return Preset{}, ErrNotFound
}

func (k *known) Project(_ context.Context, _, id string) (Project, error) {
	p, ok := k.projects[id]
	return pick(p, ok)
}

func (k *known) Instance(_ context.Context, _, id string) (Instance, error) {
	i, ok := k.instances[id]
	return pick(i, ok)
}

func pick[T any](v T, ok bool) (T, error) {
	if !ok {
		return v, ErrNotFound
	}
	return v, nil
}

// Key looks each key up once.
func (k *known) Key(ctx context.Context, tenantID, id string) (Key, error) {
	p, ok := k.parents[id]
	if !ok {
		if p.key, p.err = k.Writer.Key(ctx, tenantID, id); p.err != nil && !isNotFound(p.err) {
			return Key{}, p.err
		}
		k.parents[id] = p
	}
	return p.key, p.err
}

// Keys answers a parent's live children, those of the batch too.
func (k *known) Keys(ctx context.Context, tenantID string, q KeyQuery) ([]Key, int, error) {
	all, ok := k.children[q.ParentKeyID]
	if !ok {
		var err error
		if all, _, err = k.Writer.Keys(ctx, tenantID, KeyQuery{ParentKeyID: q.ParentKeyID, LiveAt: q.LiveAt}); err != nil {
			return nil, 0, err
		}
		k.children[q.ParentKeyID] = all
	}
	page := all
	if q.Limit > 0 {
		page = all[:min(q.Limit, len(all))]
	}
	return page, len(all), nil
}

func (k *known) Record(_ context.Context, entries ...AuditEntry) error {
	k.entries = append(k.entries, entries...)
	for i := range entries {
		k.written += len(entries[i].Detail)
	}
	return nil
}
