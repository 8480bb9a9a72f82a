package db

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

type presetRow struct {
	bun.BaseModel `bun:"table:presets"`
	TenantID      string `bun:",pk"`
	Name          string `bun:",pk"`
	Permissions   list
	MaxEffect     string
	CreatedAt     time.Time
	UpdatedAt     time.Time
	Version       int64
}

func newPresetRow(p *keys.Preset, epoch int64) *presetRow {
	return &presetRow{
		TenantID: p.TenantID, Name: p.Name, Permissions: p.Permissions, MaxEffect: p.MaxEffect.String(),
		CreatedAt: stamp(p.CreatedAt), UpdatedAt: stamp(p.UpdatedAt), Version: epoch,
	}
}

// preset reads an effect that this program does not know as none at all: a
// ceiling that nothing is under.
func (r *presetRow) preset() keys.Preset {
	effect, err := policy.ParseEffect(r.MaxEffect)
	if err != nil {
		effect = 0
	}
	return keys.Preset{
		TenantID: r.TenantID, Name: r.Name,
		Preset:    policy.Preset{Permissions: notNil(r.Permissions), MaxEffect: effect},
		CreatedAt: r.CreatedAt.UTC(), UpdatedAt: r.UpdatedAt.UTC(), Version: r.Version,
	}
}

func (r *reader) Preset(ctx context.Context, tenantID, name string) (keys.Preset, error) {
	row, err := find[presetRow](ctx, r, eq{"tenant_id", tenantID}, eq{"name", name})
	if err != nil {
		return keys.Preset{}, err
	}
	return row.preset(), nil
}

func (r *reader) Presets(ctx context.Context, tenantID string) ([]keys.Preset, error) {
	rows, err := all[presetRow](ctx, r, eq{"tenant_id", tenantID})
	if err != nil {
		return nil, err
	}
	presets := make([]keys.Preset, len(rows))
	for i := range rows {
		presets[i] = rows[i].preset()
	}
	slices.SortFunc(presets, func(a, b keys.Preset) int { return strings.Compare(a.Name, b.Name) })
	return presets, nil
}

func (w *writer) InsertPreset(ctx context.Context, p *keys.Preset) error {
	if err := need[tenantRow](ctx, &w.reader, eq{"id", p.TenantID}); err != nil {
		return err
	}
	row := newPresetRow(p, w.Epoch())
	if err := w.insert(ctx, row, "tenant_id, name", conflicts["presets_pkey"]); err != nil {
		return err
	}
	w.changed(p.TenantID, keys.ChangePreset, p.Name)
	*p = row.preset()
	return nil
}

func (w *writer) UpdatePreset(ctx context.Context, p *keys.Preset) error {
	row := newPresetRow(p, w.Epoch())
	err := w.update(ctx, row, []string{"tenant_id", "name", "created_at"}, eq{"tenant_id", p.TenantID}, eq{"name", p.Name})
	if err != nil {
		return err
	}
	w.changed(p.TenantID, keys.ChangePreset, p.Name)
	*p = row.preset()
	return nil
}

func (w *writer) DeletePreset(ctx context.Context, tenantID, name string) error {
	where := []eq{{"tenant_id", tenantID}, {"name", name}}
	if err := need[presetRow](ctx, &w.reader, where...); err != nil {
		return err
	}
	used, err := w.tx.NewSelect().Model((*keyRow)(nil)).Where("tenant_id = ?", tenantID).
		Where("mcp_preset = ?", name).Where("revoked_at IS NULL").Exists(ctx)
	if err != nil {
		return fault(ctx, err)
	}
	if used {
		return &keys.ConflictError{Problem: "the preset is in use by a key"}
	}
	if err := remove[presetRow](ctx, w, where...); err != nil {
		return err
	}
	w.changed(tenantID, keys.ChangePreset, name)
	return nil
}
