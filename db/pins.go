package db

import (
	"context"
	"slices"
	"strings"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// Pins answers by name.
func (r *reader) Pins(ctx context.Context, tenantID, instanceID string) ([]keys.Pin, error) {
	if err := need[instanceRow](ctx, r, eq{"tenant_id", tenantID}, eq{"id", instanceID}); err != nil {
		return nil, err
	}
	rows := []definitionRow{}
	err := r.tx.NewSelect().Model(&rows).Column("name", "pinned", "pin_version").
		Where("instance_id = ?", instanceID).Where("kind = ?", keys.KindTool).Scan(ctx)
	if err != nil {
		return nil, fault(ctx, err)
	}
	pins := make([]keys.Pin, len(rows))
	for i := range rows {
		pins[i] = keys.Pin{Name: rows[i].Name, Digest: rows[i].Pinned, Version: rows[i].PinVersion}
	}
	slices.SortFunc(pins, func(a, b keys.Pin) int { return strings.Compare(a.Name, b.Name) })
	return pins, nil
}

// ApproveTool pins one tool; see keys.Writer.
func (w *writer) ApproveTool(ctx context.Context, tenantID, instanceID, name, digest string) (keys.Definition, error) {
	if !storable(tenantID) || !storable(instanceID) {
		return keys.Definition{}, keys.ErrNotFound
	}
	if _, err := w.db.lockInstance(ctx, w.tx, tenantID, instanceID); err != nil {
		return keys.Definition{}, err
	}
	where := []eq{{"instance_id", instanceID}, {"kind", keys.KindTool}, {"name", name}}
	row, err := find[definitionRow](ctx, &w.reader, append(where, eq{"gone", false})...)
	if err != nil {
		return keys.Definition{}, err
	}
	was := row.definition()
	switch {
	case was.Digest != digest:
		return was, &keys.ConflictError{Field: "digest", Problem: "is not the announced one"}
	case was.Pinned == digest:
		return was, nil
	}
	row.Pinned, row.PinVersion, row.Approved = digest, w.Epoch(), nil
	if err := w.update(ctx, row, []string{"instance_id", "kind", "name"}, where...); err != nil {
		return keys.Definition{}, err
	}
	w.changed(tenantID, keys.ChangeInstance, instanceID)
	return was, nil
}
