package keys

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// errUnfolded is a thing of which the trail has not all that decides, for retention
// has cut it.
var errUnfolded = errors.New("the trail does not have it any more")

// foldReader makes the grants of a tenant's keys and JWTs as of any edit. What the
// trail does not say of a thing because it never changed since the trail begins, it
// takes from the store.
type foldReader struct {
	*auditFold
	store  Store
	tenant string
	grants map[string]foldGrant // the last one of each key, "" of JWTs: entries come nearly by edit
}

const maxFoldGrants = 10_000

// foldGrant is a grant, which holds for the edits from one on until another (0 =
// the last). Not certain: that something on it was not changed may have been cut.
type foldGrant struct {
	grant       *policy.Grant
	from, until int64
	certain     bool
}

// narrow is the grant held to what holds from one edit until another.
func (g *foldGrant) narrow(from, until int64) {
	g.from = max(g.from, from)
	if until != 0 && (g.until == 0 || until < g.until) {
		g.until = until
	}
}

func (g *foldGrant) holds(epoch int64) bool {
	return g.grant != nil && g.from <= epoch && (g.until == 0 || epoch < g.until)
}

// foldedKey is what decides of a key, by the names of Key.fields.
type foldedKey struct {
	policy.Policy
	Scope       policy.Scope `json:"scope"`
	Permissions []string     `json:"permissions"`
	Enabled     bool         `json:"enabled"`
	ProjectID   string       `json:"projectId"`
	ParentKeyID string       `json:"parentKeyId"`
	ExpiresAt   *time.Time   `json:"expiresAt"`
	Revoked     bool         `json:"revoked"`
}

// key has what decides and nothing else.
func (k *foldedKey) key() Key {
	key := Key{Scope: k.Scope, Permissions: k.Permissions, Enabled: k.Enabled, ProjectID: k.ProjectID,
		ParentKeyID: k.ParentKeyID, ExpiresAt: k.ExpiresAt, Policy: k.Policy}
	if k.Revoked {
		key.RevokedAt = new(time.Time)
	}
	return key
}

type foldedTenant struct {
	MCPEnabled bool          `json:"mcpEnabled"`
	JWTPolicy  policy.Policy `json:"jwtPolicy"`
}

// grantOf is what the key or JWT of an entry was granted as of the entry's edit:
// errUnfolded where that is not known any more, a *foldError where the trail
// contradicts itself; other errors are the store's.
func (r *foldReader) grantOf(ctx context.Context, e *AuditEntry) (foldGrant, error) {
	if g := r.grants[e.KeyID]; g.holds(e.Epoch) {
		return g, nil
	}
	g := foldGrant{certain: true}
	layers, err := r.layers(ctx, e, &g)
	if err != nil {
		return foldGrant{}, err
	}
	g.grant = policy.Compile(layers[0], layers[1:]...)
	if len(r.grants) >= maxFoldGrants {
		clear(r.grants)
	}
	r.grants[e.KeyID] = g
	return g, nil
}

// layers are the key's and its ancestors', or the one of a JWT's subject.
func (r *foldReader) layers(ctx context.Context, e *AuditEntry, g *foldGrant) ([]policy.Subject, error) {
	var tenant foldedTenant
	if err := r.thing(ctx, foldID{"tenant", r.tenant}, e.Epoch, g, &tenant); err != nil {
		return nil, err
	}
	t := Tenant{MCPEnabled: tenant.MCPEnabled, JWTPolicy: tenant.JWTPolicy}
	if e.KeyID == "" {
		presets, err := r.preset(ctx, t.JWTPolicy.Preset, e.Epoch, g)
		// The token's permissions are not kept: see freeRules.
		all := SubjectClaims{Permissions: []string{"*", manageTenants}}
		return []policy.Subject{all.layerOf(t, presets)}, err
	}
	var layers []policy.Subject
	for id := e.KeyID; id != ""; {
		if len(layers) == maxDepth {
			return nil, &foldError{fmt.Errorf("key %s has %d keys above it, or more", clip(e.KeyID), maxDepth), false, true}
		}
		var k foldedKey
		if err := r.thing(ctx, foldID{"key", id}, e.Epoch, g, &k); err != nil {
			return nil, err
		}
		presets, err := r.preset(ctx, k.Policy.Preset, e.Epoch, g)
		if err != nil {
			return nil, err
		}
		key := k.key()
		layers, id = append(layers, subject(&key, t, presets)), k.ParentKeyID
	}
	return layers, nil
}

// preset is the tenant's own one of a name; none where it was not there.
func (r *foldReader) preset(ctx context.Context, name string, epoch int64, g *foldGrant) (map[string]policy.Preset, error) {
	if policy.ReservedPreset(name) {
		return nil, nil
	}
	var p policy.Preset
	err := r.thing(ctx, foldID{"preset", name}, epoch, g, &p)
	var bad *foldError
	switch {
	case errors.As(err, &bad) && bad.absent:
		return nil, nil
	case err != nil:
		return nil, err
	}
	return map[string]policy.Preset{name: p}, nil
}

// foldError is a trail that contradicts itself. Not certain: what was cut may tell
// why.
type foldError struct {
	error
	absent  bool // the thing was not there
	certain bool
}

// thing reads what a thing was as of an edit, and narrows the grant to it.
func (r *foldReader) thing(ctx context.Context, id foldID, epoch int64, g *foldGrant, v any) error {
	h := r.of(id)
	if !h.resolved {
		now, err := r.stored(ctx, id)
		if err != nil {
			return err
		}
		h.resolve(id.kind, now)
	}
	state, until := h.at(epoch)
	g.narrow(state.from, until)
	if !h.anchored && epoch < r.begins { // what changed before the trail begins is not known
		g.certain = false
		g.narrow(0, r.begins)
	}
	if state.fields == nil {
		return &foldError{fmt.Errorf("the trail has no %s %s at edit %d", id.kind, clip(id.id), epoch), true, g.certain}
	}
	ok, err := state.read(id.kind, v)
	if err != nil {
		return &foldError{fmt.Errorf("the changes of %s %s can't be read: %w", id.kind, clip(id.id), err), false, true}
	}
	if !ok {
		return errUnfolded
	}
	return nil
}

// stored are a thing's fields in the store: nil where it is not there, none where it
// was edited after what is folded.
func (r *foldReader) stored(ctx context.Context, id foldID) (now map[string]json.RawMessage, err error) {
	var all fields
	var version int64
	err = r.store.Read(ctx, func(s Reader) error {
		switch id.kind {
		case "key":
			k, err := s.Key(ctx, r.tenant, id.id)
			all, version = k.fields(), k.Version
			return err
		case "preset":
			p, err := s.Preset(ctx, r.tenant, id.id)
			all, version = p.fields(), p.Version
			return err
		}
		t, err := s.Tenant(ctx, r.tenant)
		all, version = t.fields(), t.Version
		return err
	})
	switch {
	case isNotFound(err):
		return nil, nil
	case err != nil:
		return nil, err
	case version > r.upTo:
		return map[string]json.RawMessage{}, nil // what it was is in changes that are not folded
	}
	text, err := json.Marshal(all)
	if err == nil {
		err = json.Unmarshal(text, &now)
	}
	return now, err
}

// readFold folds all changes of a tenant's trail that are committed by now.
func readFold(ctx context.Context, store Store, tenantID string) (*foldReader, error) {
	f := &auditFold{things: map[foldID]*foldHistory{}}
	err := store.Read(ctx, func(r Reader) (err error) {
		f.upTo, err = r.AsOf(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	f.begins = f.upTo + 1
	err = eachAudit(ctx, store, tenantID, AuditQuery{Kind: "change"}, func(page []AuditEntry) error {
		for i := range page {
			f.begins = min(f.begins, page[i].Epoch)
			if err := f.add(&page[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return &foldReader{auditFold: f, store: store, tenant: tenantID, grants: map[string]foldGrant{}}, err
}

// eachAudit reads the entries that a query finds, oldest first, each page by itself.
func eachAudit(ctx context.Context, store Store, tenantID string, q AuditQuery, fn func([]AuditEntry) error) error {
	q.Oldest, q.Limit = true, verifyPage
	for {
		var page []AuditEntry
		err := store.Read(ctx, func(r Reader) (err error) {
			page, err = r.Audit(ctx, tenantID, q)
			return err
		})
		if err != nil || len(page) == 0 {
			return err
		}
		if err := fn(page); err != nil {
			return err
		}
		q.After = page[len(page)-1].ID
	}
}
