package db

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

type instanceRow struct {
	bun.BaseModel    `bun:"table:instances"`
	ID               string `bun:",pk"`
	TenantID         string
	ProjectID        string
	Slug             string
	Transport        string
	Command          string
	Args             list
	URL              string `bun:"url"`
	Sealed           []byte
	Enabled          bool
	WriteEnabled     bool
	TrustAnnotations bool
	QuarantineNew    bool
	AllowPrivate     bool
	Tools            toolRules
	Source           string
	CreatedAt        time.Time
	UpdatedAt        time.Time
	Version          int64
}

type toolRule struct {
	Match    string `json:"match"`
	Category string `json:"category,omitempty"`
	Effect   string `json:"effect,omitempty"`
	Project  string `json:"projectPointer,omitempty"`
}

type toolRules []toolRule

// Value encodes the rules as JSON text, [] when there are none.
func (t toolRules) Value() (driver.Value, error) {
	if t == nil {
		return "[]", nil
	}
	text, err := json.Marshal([]toolRule(t))
	return string(text), err
}

// Scan decodes JSON text.
func (t *toolRules) Scan(src any) error { return scanJSON(src, (*[]toolRule)(t)) }

// unknownEffect stands for a stored effect that this program does not know: not
// "no word on it", which would leave it to the annotations, but above every
// ceiling.
const unknownEffect = ^policy.Effect(0)

func newInstanceRow(i *keys.Instance, epoch int64) *instanceRow {
	row := &instanceRow{
		ID: i.ID, TenantID: i.TenantID, ProjectID: i.ProjectID, Slug: i.Slug,
		Transport: string(i.Transport), Command: i.Command, Args: i.Args, URL: i.URL, Sealed: i.Sealed,
		Enabled: i.Enabled, WriteEnabled: i.WriteEnabled, TrustAnnotations: i.TrustAnnotations,
		QuarantineNew: i.QuarantineNew, AllowPrivate: i.AllowPrivate, Source: i.Source,
		CreatedAt: stamp(i.CreatedAt), UpdatedAt: stamp(i.UpdatedAt), Version: epoch,
	}
	for _, t := range i.Tools {
		rule := toolRule{Match: t.Match, Category: t.Category, Project: t.ProjectPointer}
		if t.Effect != 0 {
			rule.Effect = t.Effect.String()
		}
		row.Tools = append(row.Tools, rule)
	}
	return row
}

func (r *instanceRow) instance() keys.Instance {
	i := keys.Instance{
		ID: r.ID, TenantID: r.TenantID, ProjectID: r.ProjectID, Slug: r.Slug,
		Transport: keys.Transport(r.Transport), Command: r.Command, Args: notNil(r.Args), URL: r.URL,
		Enabled: r.Enabled, WriteEnabled: r.WriteEnabled, TrustAnnotations: r.TrustAnnotations,
		QuarantineNew: r.QuarantineNew, AllowPrivate: r.AllowPrivate, Source: r.Source,
		Tools:     make([]keys.ToolRule, len(r.Tools)),
		CreatedAt: r.CreatedAt.UTC(), UpdatedAt: r.UpdatedAt.UTC(), Version: r.Version,
	}
	if len(r.Sealed) > 0 {
		i.Sealed = r.Sealed
	}
	for n, t := range r.Tools {
		i.Tools[n] = keys.ToolRule{Match: t.Match, Category: t.Category, ProjectPointer: t.Project}
		if t.Effect == "" {
			continue
		}
		effect, err := policy.ParseEffect(t.Effect)
		if err != nil {
			effect = unknownEffect
		}
		i.Tools[n].Effect = effect
	}
	return i
}

func (r *reader) Instance(ctx context.Context, tenantID, id string) (keys.Instance, error) {
	row, err := find[instanceRow](ctx, r, eq{"tenant_id", tenantID}, eq{"id", id})
	if err != nil {
		return keys.Instance{}, err
	}
	return row.instance(), nil
}

func (r *reader) Instances(ctx context.Context, tenantID string) ([]keys.Instance, error) {
	var where []eq
	if tenantID != "" {
		where = append(where, eq{"tenant_id", tenantID})
	}
	rows, err := all[instanceRow](ctx, r, where...)
	if err != nil {
		return nil, err
	}
	instances := make([]keys.Instance, len(rows))
	for i := range rows {
		instances[i] = rows[i].instance()
	}
	slices.SortFunc(instances, func(a, b keys.Instance) int {
		if c := strings.Compare(a.Slug, b.Slug); c != 0 {
			return c
		}
		return strings.Compare(a.TenantID, b.TenantID)
	})
	return instances, nil
}

func (w *writer) InsertInstance(ctx context.Context, i *keys.Instance) error {
	if err := w.instanceFits(ctx, i); err != nil {
		return err
	}
	row := newInstanceRow(i, w.Epoch())
	if err := w.insert(ctx, row, "id", idTaken); err != nil {
		return err
	}
	w.changed(i.TenantID, keys.ChangeInstance, i.ID)
	*i = row.instance()
	return nil
}

func (w *writer) UpdateInstance(ctx context.Context, i *keys.Instance) error {
	if err := w.instanceFits(ctx, i); err != nil {
		return err
	}
	row := newInstanceRow(i, w.Epoch())
	err := w.update(ctx, row, []string{"id", "tenant_id", "created_at"}, eq{"tenant_id", i.TenantID}, eq{"id", i.ID})
	if err != nil {
		return err
	}
	w.changed(i.TenantID, keys.ChangeInstance, i.ID)
	*i = row.instance()
	return nil
}

// instanceFits looks for the project, in the same tenant, and a free slug.
func (w *writer) instanceFits(ctx context.Context, i *keys.Instance) error {
	if err := need[projectRow](ctx, &w.reader, eq{"tenant_id", i.TenantID}, eq{"id", i.ProjectID}); err != nil {
		return err
	}
	return free[instanceRow](ctx, &w.reader, i.ID, conflicts["instances_slug_key"],
		eq{"tenant_id", i.TenantID}, eq{"slug", i.Slug})
}

// DeleteInstance also deletes its definitions and pins, and takes its id off the keys' lists.
func (w *writer) DeleteInstance(ctx context.Context, tenantID, id string) error {
	if err := remove[instanceRow](ctx, w, eq{"tenant_id", tenantID}, eq{"id", id}); err != nil {
		return err
	}
	w.changed(tenantID, keys.ChangeInstance, id)
	return w.stripKeys(ctx, tenantID, "mcp_instance_ids", id)
}
