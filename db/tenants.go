package db

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

type tenantRow struct {
	bun.BaseModel  `bun:"table:tenants"`
	ID             string `bun:",pk"`
	Slug           string
	Name           string
	MCPEnabled     bool `bun:"mcp_enabled"`
	AuditArguments bool
	JWTPolicy      policyColumn `bun:"jwt_policy"`
	CreatedAt      time.Time
	UpdatedAt      time.Time
	Version        int64
}

func newTenantRow(t *keys.Tenant, epoch int64) *tenantRow {
	return &tenantRow{
		ID: t.ID, Slug: t.Slug, Name: t.Name, MCPEnabled: t.MCPEnabled, AuditArguments: t.AuditArguments, JWTPolicy: policyColumn{t.JWTPolicy},
		CreatedAt: stamp(t.CreatedAt), UpdatedAt: stamp(t.UpdatedAt), Version: epoch,
	}
}

func (r *tenantRow) tenant() keys.Tenant {
	return keys.Tenant{
		ID: r.ID, Slug: r.Slug, Name: r.Name, MCPEnabled: r.MCPEnabled, AuditArguments: r.AuditArguments, JWTPolicy: r.JWTPolicy.Policy,
		CreatedAt: r.CreatedAt.UTC(), UpdatedAt: r.UpdatedAt.UTC(), Version: r.Version,
	}
}

func (r *reader) Tenant(ctx context.Context, idOrSlug string) (keys.Tenant, error) {
	row, err := find[tenantRow](ctx, r, eq{"id", idOrSlug})
	if errors.Is(err, keys.ErrNotFound) {
		row, err = find[tenantRow](ctx, r, eq{"slug", idOrSlug})
	}
	if err != nil {
		return keys.Tenant{}, err
	}
	return row.tenant(), nil
}

func (r *reader) Tenants(ctx context.Context) ([]keys.Tenant, error) {
	rows, err := all[tenantRow](ctx, r)
	if err != nil {
		return nil, err
	}
	tenants := make([]keys.Tenant, len(rows))
	for i := range rows {
		tenants[i] = rows[i].tenant()
	}
	slices.SortFunc(tenants, func(a, b keys.Tenant) int { return strings.Compare(a.Slug, b.Slug) })
	return tenants, nil
}

func (w *writer) InsertTenant(ctx context.Context, t *keys.Tenant) error {
	if err := w.tenantSlugFree(ctx, t); err != nil {
		return err
	}
	row := newTenantRow(t, w.Epoch())
	if err := w.insert(ctx, row, "id", idTaken); err != nil {
		return err
	}
	w.changed(t.ID, keys.ChangeTenant, t.ID)
	*t = row.tenant()
	return nil
}

func (w *writer) UpdateTenant(ctx context.Context, t *keys.Tenant) error {
	if err := w.tenantSlugFree(ctx, t); err != nil {
		return err
	}
	row := newTenantRow(t, w.Epoch())
	if err := w.update(ctx, row, []string{"id", "created_at"}, eq{"id", t.ID}); err != nil {
		return err
	}
	w.changed(t.ID, keys.ChangeTenant, t.ID)
	*t = row.tenant()
	return nil
}

func (w *writer) tenantSlugFree(ctx context.Context, t *keys.Tenant) error {
	return free[tenantRow](ctx, &w.reader, t.ID, conflicts["tenants_slug_key"], eq{"slug", t.Slug})
}
