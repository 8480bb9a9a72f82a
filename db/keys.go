package db

import (
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// fixedKeyColumns are those that UpdateKey leaves as they are.
var fixedKeyColumns = []string{
	"id", "tenant_id", "handle", "scope", "project_id", "expires_at", "last_used_at", "created_at",
}

func (r *reader) Key(ctx context.Context, tenantID, id string) (keys.Key, error) {
	where := []eq{{"id", id}}
	if tenantID != "" {
		where = append(where, eq{"tenant_id", tenantID})
	}
	row, err := find[keyRow](ctx, r, where...)
	if err != nil {
		return keys.Key{}, err
	}
	return row.key(), nil
}

func (r *reader) KeyByHandle(ctx context.Context, tenantID, handle string) (keys.Key, error) {
	row := new(keyRow)
	if !storable(tenantID) || !storable(handle) {
		return keys.Key{}, keys.ErrNotFound
	}
	err := r.tx.NewSelect().Model(row).Where("tenant_id = ?", tenantID).Where("handle = ?", handle).
		Where("revoked_at IS NULL").Scan(ctx)
	if err != nil {
		return keys.Key{}, fault(ctx, err)
	}
	return row.key(), nil
}

func (r *reader) Keys(ctx context.Context, tenantID string, q keys.KeyQuery) ([]keys.Key, int, error) {
	possible := storable(tenantID) && storable(q.Search) && storable(q.ParentKeyID) && storable(q.ProjectID)
	if !possible || strings.Contains(q.Search, searchBreak) {
		return []keys.Key{}, 0, nil
	}
	total, err := keyQuery(r.tx.NewSelect().Model((*keyRow)(nil)), tenantID, q).Count(ctx)
	if err != nil {
		return nil, 0, fault(ctx, err)
	}
	rows := []keyRow{}
	page := keyQuery(r.tx.NewSelect().Model(&rows), tenantID, q).Order("created_at", "id")
	if q.Limit > 0 || q.Offset > 0 {
		limit := int64(q.Limit)
		if limit <= 0 {
			limit = math.MaxInt64 // SQLite has no OFFSET without LIMIT
		}
		page.Limit(limit).Offset(int64(max(q.Offset, 0)))
	}
	if err := page.Scan(ctx); err != nil {
		return nil, 0, fault(ctx, err)
	}
	found := make([]keys.Key, len(rows))
	for i := range rows {
		found[i] = rows[i].key()
	}
	return found, int(total), nil
}

func keyQuery(s *bun.SelectQuery, tenantID string, q keys.KeyQuery) *bun.SelectQuery {
	if tenantID != "" {
		s.Where("tenant_id = ?", tenantID)
	}
	if q.Search != "" {
		s.Where("search LIKE ? ESCAPE '!'", "%"+literal(strings.ToLower(q.Search))+"%")
	}
	if !q.IncludeRevoked || !q.LiveAt.IsZero() {
		s.Where("revoked_at IS NULL")
	}
	if !q.LiveAt.IsZero() {
		s.Where("expires_at IS NULL OR expires_at > ?", stamp(q.LiveAt))
	}
	if q.ParentKeyID != "" {
		s.Where("parent_key_id = ?", q.ParentKeyID)
	}
	if q.ProjectID != "" {
		s.Where("project_id = ?", q.ProjectID)
	}
	return s
}

func (w *writer) InsertKey(ctx context.Context, k *keys.Key, secrets ...keys.KeySecret) error {
	if err := need[tenantRow](ctx, &w.reader, eq{"id", k.TenantID}); err != nil {
		return err
	}
	if err := w.handleFree(ctx, k.TenantID, k.ID, k.Handle, k.RevokedAt); err != nil {
		return err
	}
	if err := w.secretsFree(ctx, k.ID, secrets); err != nil {
		return err
	}
	row := newKeyRow(k, w.Epoch())
	if err := w.insert(ctx, row, "id", idTaken); err != nil {
		return err
	}
	if err := w.insertSecrets(ctx, k.TenantID, k.ID, secrets); err != nil {
		return err
	}
	w.changed(k.TenantID, keys.ChangeKey, k.ID)
	*k = row.key()
	return nil
}

func (w *writer) UpdateKey(ctx context.Context, k *keys.Key) error {
	where := []eq{{"tenant_id", k.TenantID}, {"id", k.ID}}
	old, err := find[keyRow](ctx, &w.reader, where...)
	if err != nil {
		return err
	}
	if err := w.handleFree(ctx, k.TenantID, k.ID, old.Handle, k.RevokedAt); err != nil {
		return err
	}
	// The row as it will be: search is made of fields that change and the
	// handle, which does not.
	changed := *k
	changed.Handle = old.Handle
	row := newKeyRow(&changed, w.Epoch())
	if err := w.update(ctx, row, fixedKeyColumns, where...); err != nil {
		return err
	}
	w.changed(k.TenantID, keys.ChangeKey, k.ID)
	*k = row.key()
	return nil
}

// handleFree looks for another live key with the handle; a revoked key needs none.
func (w *writer) handleFree(ctx context.Context, tenantID, id, handle string, revokedAt *time.Time) error {
	if revokedAt != nil || !storable(id) || !storable(handle) {
		return nil
	}
	taken, err := w.tx.NewSelect().Model((*keyRow)(nil)).Where("tenant_id = ?", tenantID).
		Where("handle = ?", handle).Where("id <> ?", id).Where("revoked_at IS NULL").Exists(ctx)
	if err == nil && taken {
		conflict := conflicts["keys_live_handle_key"]
		return &conflict
	}
	return fault(ctx, err)
}

func (w *writer) DeleteKey(ctx context.Context, tenantID, id string) error {
	if err := remove[keyRow](ctx, w, eq{"tenant_id", tenantID}, eq{"id", id}); err != nil {
		return err
	}
	w.changed(tenantID, keys.ChangeKey, id)
	return nil
}

// stripKeys takes an id that is no more off the tenant's keys' lists in column.
// A list that had only this id becomes empty: nothing, not everything.
func (w *writer) stripKeys(ctx context.Context, tenantID, column, id string) error {
	rows := []keyRow{}
	err := w.tx.NewSelect().Model(&rows).Where("tenant_id = ?", tenantID).
		Where("CAST(? AS text) LIKE ? ESCAPE '!'", bun.Ident(column), `%"`+literal(id)+`"%`).Scan(ctx)
	if err != nil {
		return fault(ctx, err)
	}
	for _, row := range rows {
		ids := row.MCPProjectIDs
		if column == "mcp_instance_ids" {
			ids = row.MCPInstanceIDs
		}
		rest := slices.DeleteFunc(ids.Values(), func(v string) bool { return v == id })
		_, err := w.tx.NewUpdate().Model((*keyRow)(nil)).Set("? = ?", bun.Ident(column), limit{policy.Only(rest...)}).
			Set("version = ?", w.Epoch()).Set("updated_at = ?", stamp(w.db.now())).Where("id = ?", row.ID).Exec(ctx)
		if err != nil {
			return fault(ctx, err)
		}
		w.changed(tenantID, keys.ChangeKey, row.ID)
	}
	return nil
}

type usedRow struct {
	ID         string
	LastUsedAt time.Time
}

// TouchKeys sets when keys were last used; see keys.Store.
func (d *DB) TouchKeys(ctx context.Context, used map[string]time.Time) error {
	rows := make([]usedRow, 0, len(used))
	for id, at := range used {
		if storable(id) {
			rows = append(rows, usedRow{ID: id, LastUsedAt: stamp(at)})
		}
	}
	if len(rows) == 0 {
		return fault(ctx, ctx.Err())
	}
	// In one order everywhere, so that two replicas don't wait for each other.
	slices.SortFunc(rows, func(a, b usedRow) int { return strings.Compare(a.ID, b.ID) })
	return d.change(ctx, func(ctx context.Context, tx bun.Tx) error {
		for _, row := range rows {
			_, err := tx.NewUpdate().Model((*keyRow)(nil)).Set("last_used_at = ?", row.LastUsedAt).
				Where("id = ?", row.ID).Where("last_used_at IS NULL OR last_used_at < ?", row.LastUsedAt).Exec(ctx)
			if err != nil {
				return fault(ctx, err)
			}
		}
		return nil
	})
}
