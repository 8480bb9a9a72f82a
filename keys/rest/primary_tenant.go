package rest

import (
	"time"

	"github.com/google/uuid"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

func newProject(c *call) (keys.NewProject, error) {
	var body wire.CreateProject
	err := c.json(&body)
	return body.NewProject(), err
}

func projectPatch(c *call) (editProject, error) {
	var body wire.UpdateProject
	version, err := c.bodyAndVersion(&body)
	return editProject{c.idOrSlug(), body.Patch(version)}, err
}

func projectList(_ *call, l many[keys.Project]) any { return wire.ProjectListOf(l.items, l.total) }

func oneProject(c *call, p keys.Project) any {
	c.etag(p.Version)
	return wire.ProjectOf(p)
}

func newPreset(c *call) (keys.NewPreset, error) {
	var body wire.WritePreset
	if err := c.json(&body); err != nil {
		return keys.NewPreset{}, err
	}
	return body.NewPreset()
}

func presetPatch(c *call) (editPreset, error) {
	var body wire.WritePreset
	version, err := c.bodyAndVersion(&body)
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

func presetList(_ *call, l many[keys.Preset]) any { return wire.PresetListOf(l.items, l.total) }

func onePreset(c *call, p keys.Preset) any {
	c.etag(p.Version)
	return wire.PresetOf(p)
}

func tenantPatch(c *call) (keys.TenantPatch, error) {
	var body wire.UpdateTenant
	version, err := c.bodyAndVersion(&body)
	return body.Patch(version), err
}

func oneTenant(c *call, t keys.Tenant) any {
	c.etag(t.Version)
	return wire.TenantOf(t)
}

func auditQuery(c *call) (q keys.AuditQuery, err error) {
	if q.Limit, err = c.number("limit", 1, maxLimit, defaultLimit); err != nil {
		return q, err
	}
	var since string
	for name, to := range map[string]*string{"cursor": &q.Before, "key": &q.KeyID, "tool": &q.Tool, "decision": &q.Decision, "since": &since} {
		if *to, err = c.query(name); err != nil {
			return q, err
		}
	}
	if q.Before != "" && uuid.Validate(q.Before) != nil {
		return q, badQuery("cursor", "must be the value of next from the page before")
	}
	if q.Decision != "" && q.Decision != "allow" && q.Decision != "deny" {
		return q, badQuery("decision", "must be allow or deny")
	}
	if since != "" {
		if q.Since, err = time.Parse(time.RFC3339, since); err != nil {
			return q, badQuery("since", "must be a time as in RFC 3339")
		}
	}
	return q, nil
}

func auditEvents(_ *call, p auditPage) any { return wire.AuditPageOf(p.entries, p.limit) }
