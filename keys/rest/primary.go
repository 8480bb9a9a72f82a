package rest

import (
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

// primaryShape is the camelCase one, with the things that only it has.
func primaryShape(o operations) shape {
	s := o.svc
	return shape{
		name:    "primary",
		tenants: func(r *http.Request) []string { return r.Header.Values("X-Org-Slug") },
		fault:   func(w http.ResponseWriter, p wire.Problem) { p.Answer(w) },
		routes: []route{
			{"GET", "/api/api-keys", "listKeys", 200, on(o.listKeys, allKeys, keyList)},
			{"POST", "/api/api-keys", "createKey", 201, on(s.CreateKey, newKey, issued)},
			{"GET", "/api/api-keys/{id}", "getKey", 200, on(s.Key, byID, oneKey)},
			{"PUT", "/api/api-keys/{id}", "updateKey", 200, on(o.updateKey, keyPatch, oneKey)},
			{"DELETE", "/api/api-keys/{id}", "revokeKey", 200, on(o.revokeKey, byID, said[keys.Key]("API key revoked"))},
			{"PATCH", "/api/api-keys/{id}/toggle", "toggleKey", 200, on(s.ToggleKey, byID, oneKey)},
			{"POST", "/api/api-keys/{id}/toggle", "toggleKey", 200, on(s.ToggleKey, byID, oneKey)},
			{"POST", "/api/api-keys/{id}/rotate", "rotateKey", 200, on(o.rotateKey, rotation, issued)},

			{"GET", "/api/projects", "listProjects", 200, on(o.listProjects, (*call).page, projectList)},
			{"POST", "/api/projects", "createProject", 201, on(s.CreateProject, newProject, oneProject)},
			{"GET", "/api/projects/{id}", "getProject", 200, on(s.Project, byIDOrSlug, oneProject)},
			{"PUT", "/api/projects/{id}", "updateProject", 200, on(o.updateProject, projectPatch, oneProject)},
			{"DELETE", "/api/projects/{id}", "deleteProject", 200, on(o.deleteProject, byIDOrSlug, said[nothing]("project deleted"))},

			{"GET", "/api/instances", "listInstances", 200, on(o.listInstances, (*call).page, o.instanceList)},
			{"POST", "/api/instances", "createInstance", 201, on(s.CreateInstance, newInstance, o.oneInstance)},
			{"GET", "/api/instances/{id}", "getInstance", 200, on(s.Instance, byIDOrSlug, o.oneInstance)},
			{"PUT", "/api/instances/{id}", "updateInstance", 200, on(o.updateInstance, instanceSpec, o.oneInstance)},
			{"DELETE", "/api/instances/{id}", "deleteInstance", 200, on(o.deleteInstance, byIDOrSlug, said[nothing]("instance deleted"))},
			{"GET", "/api/instances/{id}/tools", "listInstanceTools", 200, on(o.instanceTools, toolsOf, toolList)},

			{"GET", "/api/presets", "listPresets", 200, on(o.listPresets, (*call).page, presetList)},
			{"POST", "/api/presets", "createPreset", 201, on(s.CreatePreset, newPreset, onePreset)},
			{"PUT", "/api/presets/{name}", "updatePreset", 200, on(o.updatePreset, presetPatch, onePreset)},
			{"DELETE", "/api/presets/{name}", "deletePreset", 200, on(o.deletePreset, byName, said[nothing]("preset deleted"))},

			{"GET", "/api/tenant", "getTenant", 200, on(o.tenant, none, oneTenant)},
			{"PUT", "/api/tenant", "updateTenant", 200, on(s.UpdateTenant, tenantPatch, oneTenant)},
			{"GET", "/api/audit", "listAudit", 200, on(o.audit, auditQuery, auditEvents)},
		},
	}
}

const source = "api"

func none(*call) (nothing, error) { return nothing{}, nil }

func byID(c *call) (string, error) { return c.id(), nil }

func byIDOrSlug(c *call) (string, error) { return c.idOrSlug(), nil }

func byName(c *call) (string, error) { return c.name(), nil }

// said answers with a sentence, whatever the operation answered.
func said[T any](text string) func(*call, T) any {
	return func(*call, T) any { return wire.Message{Message: text} }
}

// allKeys: the document has no paging, so the list is complete.
func allKeys(*call) (keys.KeyQuery, error) { return keys.KeyQuery{}, nil }

func newKey(c *call) (keys.NewKey, error) {
	var body wire.CreateKey
	if err := c.json(&body); err != nil {
		return keys.NewKey{}, err
	}
	return body.NewKey(source)
}

func keyPatch(c *call) (editKey, error) {
	var body wire.UpdateKey
	version, err := c.bodyAndVersion(&body)
	return editKey{c.id(), body.Patch(version)}, err
}

func rotation(c *call) (rotateKey, error) {
	var body wire.RotateKey
	if err := c.optionalJSON(&body); err != nil {
		return rotateKey{}, err
	}
	grace, err := body.Grace()
	return rotateKey{c.id(), grace}, err
}

func keyList(_ *call, l many[keys.Key]) any { return wire.KeyListOf(l.items, l.total) }

func oneKey(c *call, k keys.Key) any {
	c.etag(k.Version)
	return wire.KeyOf(k)
}

func issued(c *call, i keys.Issued) any {
	c.etag(i.Key.Version)
	return wire.IssuedOf(i)
}

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

func newInstance(c *call) (keys.InstanceSpec, error) {
	var body wire.WriteInstance
	if err := c.json(&body); err != nil {
		return keys.InstanceSpec{}, err
	}
	return body.Spec(source, 0)
}

func instanceSpec(c *call) (editInstance, error) {
	var body wire.WriteInstance
	version, err := c.bodyAndVersion(&body)
	if err != nil {
		return editInstance{}, err
	}
	spec, err := body.Spec(source, version)
	return editInstance{c.idOrSlug(), spec}, err
}

func toolsOf(c *call) (instanceTools, error) {
	at, err := c.page()
	return instanceTools{c.idOrSlug(), at}, err
}

func (o operations) wireInstance(i keys.Instance) wire.Instance {
	out := wire.InstanceOf(i)
	if o.status != nil {
		out = out.WithStatus(o.status(i.ID))
	}
	return out
}

func (o operations) oneInstance(c *call, i keys.Instance) any {
	c.etag(i.Version)
	return o.wireInstance(i)
}

func (o operations) instanceList(_ *call, l many[keys.Instance]) any {
	out := wire.InstanceList{Instances: make([]wire.Instance, len(l.items)), Total: l.total}
	for n, i := range l.items {
		out.Instances[n] = o.wireInstance(i)
	}
	return out
}

func toolList(_ *call, l many[wire.Tool]) any {
	return wire.ToolList{Tools: append([]wire.Tool{}, l.items...), Total: l.total}
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
