package rest

import (
	"net/http"

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
