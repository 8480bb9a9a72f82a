package rest

import (
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

func newProject(_ *call, body wire.CreateProject) (keys.NewProject, error) {
	return body.NewProject(), nil
}

func projectPatch(c *call, body wire.UpdateProject) (editProject, error) {
	version, err := c.ifMatch()
	return editProject{c.idOrSlug(), body.Patch(version)}, err
}

func projectList(_ *call, l many[keys.Project]) wire.ProjectList {
	return wire.ProjectListOf(l.items, l.total)
}

func oneProject(c *call, p keys.Project) wire.Project {
	c.etag(p.Version)
	return wire.ProjectOf(p)
}

func editedProject(c *call, p keys.Project) wire.EditedProject {
	return wire.EditedProject{Project: oneProject(c, p), Edited: c.edited()}
}

func newPreset(_ *call, body wire.WritePreset) (keys.NewPreset, error) { return body.NewPreset() }

func presetPatch(c *call, body wire.WritePreset) (editPreset, error) {
	version, err := c.ifMatch()
	if err != nil {
		return editPreset{}, err
	}
	if body.Name.Set && body.Name.Value != c.name() {
		return editPreset{}, invalid("name", "a preset can't be renamed")
	}
	body.Name = keys.Some(c.name())
	preset, err := body.NewPreset()
	return editPreset{preset, version}, err
}

func presetList(_ *call, l many[keys.Preset]) wire.PresetList {
	return wire.PresetListOf(l.items, l.total)
}

func onePreset(c *call, p keys.Preset) wire.Preset {
	c.etag(p.Version)
	return wire.PresetOf(p)
}

func editedPreset(c *call, p keys.Preset) wire.EditedPreset {
	return wire.EditedPreset{Preset: onePreset(c, p), Edited: c.edited()}
}

func tenantPatch(c *call, body wire.UpdateTenant) (keys.TenantPatch, error) {
	version, err := c.ifMatch()
	return body.Patch(version), err
}

func newTenant(_ *call, body wire.CreateTenant) (keys.NewTenant, error) {
	return body.NewTenant(), nil
}

func anyTenantPatch(c *call, body wire.UpdateTenant) (editTenant, error) {
	patch, err := tenantPatch(c, body)
	return editTenant{c.idOrSlug(), patch}, err
}

func tenantList(_ *call, l many[keys.Tenant]) wire.TenantList {
	return wire.TenantListOf(l.items, l.total)
}

func oneTenant(c *call, t keys.Tenant) wire.Tenant {
	c.etag(t.Version)
	return wire.TenantOf(t)
}

func editedTenant(c *call, t keys.Tenant) wire.EditedTenant {
	return wire.EditedTenant{Tenant: oneTenant(c, t), Edited: c.edited()}
}

var auditParams = []param{
	limitParam,
	{name: "cursor", kind: "string", format: "uuid", doc: "The value of next from the page before.",
		example: "0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d"},
	{name: "key", kind: "string", doc: "Only this key's, by its id.", example: "0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d"},
	{name: "tool", kind: "string", doc: "Only this tool's, by the name that was asked for.", example: "notes__read_note"},
	{name: "decision", kind: "string", enum: []string{"allow", "deny"}, doc: "Only these decisions.", example: "deny"},
	{name: "since", kind: "string", format: "date-time", doc: "Only from this time on.", example: "2026-01-31T12:00:00Z"},
	{name: "until", kind: "string", format: "date-time", doc: "Only before this time.", example: "2026-01-31T13:00:00Z"},
	{name: "kind", kind: "string", enum: auditKinds, doc: "Only events of this kind.", example: "decision"},
	{name: "ref", kind: "string", doc: "Only the event whose denial carried this reference.", example: "k3v7q2m5w4xa6bzc"},
	{name: "order", kind: "string", enum: auditOrders, doc: "Newest first where it is left out; a cursor goes on in the order that it came from.", example: "oldest"},
}

var (
	auditKinds  = []string{"decision", "call", "change"}
	auditOrders = []string{"newest", "oldest"}
)

func auditQuery(c *call) (q keys.AuditQuery, err error) {
	if q.Limit, err = c.number(limitParam); err != nil {
		return q, err
	}
	var cursor, order, since, until string
	for name, to := range map[string]*string{"cursor": &cursor, "key": &q.KeyID, "tool": &q.Tool, "decision": &q.Decision,
		"since": &since, "until": &until, "kind": &q.Kind, "ref": &q.Ref, "order": &order} {
		if *to, err = c.query(name); err != nil {
			return q, err
		}
	}
	if id, err := uuid.Parse(cursor); cursor != "" && (err != nil || id.String() != cursor) {
		return q, badQuery("cursor", "must be the value of next from the page before")
	}
	switch {
	case q.Decision != "" && q.Decision != "allow" && q.Decision != "deny":
		return q, badQuery("decision", "must be allow or deny")
	case q.Kind != "" && !slices.Contains(auditKinds, q.Kind):
		return q, badQuery("kind", "must be decision, call or change")
	case order != "" && !slices.Contains(auditOrders, order):
		return q, badQuery("order", "must be newest or oldest")
	case order == "oldest":
		q.Oldest, q.After = true, cursor
	default:
		q.Before = cursor
	}
	if q.Since, err = queriedTime("since", since); err == nil {
		q.Until, err = queriedTime("until", until)
	}
	return q, err
}

func queriedTime(name, text string) (at time.Time, err error) {
	if text == "" {
		return at, nil
	}
	if at, err = time.Parse(time.RFC3339, text); err != nil {
		err = badQuery(name, "must be a time as in RFC 3339")
	}
	return at, err
}

func auditEvents(_ *call, p auditPage) wire.AuditPage { return wire.AuditPageOf(p.entries, p.limit) }

// byRef reads the reference that a denial carried.
func byRef() input[string] {
	return from(func(c *call) (string, error) {
		ref := c.r.PathValue("ref")
		c.nowhere = len(ref) != 16 || strings.Trim(ref, "abcdefghijklmnopqrstuvwxyz234567") != ""
		return ref, nil
	})
}

func recorded(_ *call, e keys.AuditEntry) wire.Explanation { return wire.RecordedDecision(e) }
