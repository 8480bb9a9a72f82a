package db

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

type projectRow struct {
	bun.BaseModel `bun:"table:projects"`
	ID            string `bun:",pk"`
	TenantID      string
	Slug          string
	Name          string
	CreatedAt     time.Time
	UpdatedAt     time.Time
	Version       int64
}

func newProjectRow(p *keys.Project, epoch int64) *projectRow {
	return &projectRow{
		ID: p.ID, TenantID: p.TenantID, Slug: p.Slug, Name: p.Name,
		CreatedAt: stamp(p.CreatedAt), UpdatedAt: stamp(p.UpdatedAt), Version: epoch,
	}
}

func (r *projectRow) project() keys.Project {
	return keys.Project{
		ID: r.ID, TenantID: r.TenantID, Slug: r.Slug, Name: r.Name,
		CreatedAt: r.CreatedAt.UTC(), UpdatedAt: r.UpdatedAt.UTC(), Version: r.Version,
	}
}

func (r *reader) Project(ctx context.Context, tenantID, id string) (keys.Project, error) {
	row, err := find[projectRow](ctx, r, eq{"tenant_id", tenantID}, eq{"id", id})
	if err != nil {
		return keys.Project{}, err
	}
	return row.project(), nil
}

func (r *reader) Projects(ctx context.Context, tenantID string) ([]keys.Project, error) {
	rows, err := all[projectRow](ctx, r, eq{"tenant_id", tenantID})
	if err != nil {
		return nil, err
	}
	projects := make([]keys.Project, len(rows))
	for i := range rows {
		projects[i] = rows[i].project()
	}
	slices.SortFunc(projects, func(a, b keys.Project) int { return strings.Compare(a.Slug, b.Slug) })
	return projects, nil
}

func (w *writer) InsertProject(ctx context.Context, p *keys.Project) error {
	if err := need[tenantRow](ctx, &w.reader, eq{"id", p.TenantID}); err != nil {
		return err
	}
	if err := w.projectSlugFree(ctx, p); err != nil {
		return err
	}
	row := newProjectRow(p, w.Epoch())
	if err := w.insert(ctx, row, "id", idTaken); err != nil {
		return err
	}
	w.changed(p.TenantID, keys.ChangeProject, p.ID)
	*p = row.project()
	return nil
}

func (w *writer) UpdateProject(ctx context.Context, p *keys.Project) error {
	if err := w.projectSlugFree(ctx, p); err != nil {
		return err
	}
	row := newProjectRow(p, w.Epoch())
	err := w.update(ctx, row, []string{"id", "tenant_id", "created_at"}, eq{"tenant_id", p.TenantID}, eq{"id", p.ID})
	if err != nil {
		return err
	}
	w.changed(p.TenantID, keys.ChangeProject, p.ID)
	*p = row.project()
	return nil
}

func (w *writer) projectSlugFree(ctx context.Context, p *keys.Project) error {
	return free[projectRow](ctx, &w.reader, p.ID, conflicts["projects_slug_key"],
		eq{"tenant_id", p.TenantID}, eq{"slug", p.Slug})
}

// DeleteProject also takes the project's id off the keys' lists.
func (w *writer) DeleteProject(ctx context.Context, tenantID, id string) error {
	used, err := exists[instanceRow](ctx, &w.reader, eq{"tenant_id", tenantID}, eq{"project_id", id})
	if err != nil {
		return err
	}
	if used {
		return &keys.ConflictError{Problem: "the project still has instances"}
	}
	if err := remove[projectRow](ctx, w, eq{"tenant_id", tenantID}, eq{"id", id}); err != nil {
		return err
	}
	w.changed(tenantID, keys.ChangeProject, id)
	return w.stripKeys(ctx, tenantID, "mcp_project_ids", id)
}
