package rest

import (
	"net/http"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

// ocoreShape is the camelCase one, the primary, with the things that only it has.
func ocoreShape(o operations) shape {
	s := o.svc
	return shape{
		name:    "ocore",
		tenants: func(r *http.Request) []string { return r.Header.Values("X-Org-Slug") },
		routes: []route{
			{"GET", "/api/api-keys", "listKeys", 200, viewKeys, "List the tenant's keys", on(o.listKeys, from(allKeys, searchParam, revokedParam), keyList)},
			{"POST", "/api/api-keys", "createKey", 201, manageKeys, "Make a key, whose plaintext is answered this once", on(s.CreateKey, fromJSON(newKey).once(), issued)},
			{"GET", "/api/api-keys/{id}", "getKey", 200, viewKeys, "Get a key", on(s.Key, byID(), oneKey)},
			{"PUT", "/api/api-keys/{id}", "updateKey", 200, manageKeys, "Change a key, or tell what that would do; an absent field stays, null is the default", on(o.changeKey, fromJSON(keyChange, dryRunParam, dryRunDaysParam).versioned(), changedKey).either(typeOf[wire.EditedKey](), typeOf[wire.Effects]())},
			{"DELETE", "/api/api-keys/{id}", "revokeKey", 200, manageKeys, "Revoke a key and its children, for good", on(o.revokeKey, fromJSON(revocation).maybe().versioned(), said[keys.Key]("API key revoked"))},
			{"PATCH", "/api/api-keys/{id}/toggle", "toggleKey", 200, manageKeys, "Pause or resume a key's MCP access", on(o.toggleKey, from(keyFlip).versioned(), editedKey)},
			{"POST", "/api/api-keys/{id}/toggle", "toggleKey", 200, manageKeys, "Pause or resume a key's MCP access", on(o.toggleKey, from(keyFlip).versioned(), editedKey)},
			{"POST", "/api/api-keys/{id}/rotate", "rotateKey", 200, manageKeys, "Give a key a new secret, answered this once", on(o.rotateKey, fromJSON(rotation).maybe().versioned().once(), issued)},

			{"POST", "/api/api-keys/import", "importKey", 201, manageKeys, "Take over a token of another system by its SHA-256", on(o.importKey, fromJSON(importedKey), editedKey)},
			{"POST", "/api/api-keys/import/bulk", "importKeys", 201, manageKeys, "Take over up to 10,000 tokens at once, one on each line: all of them or none", on(o.importKeys, lines(), editedImport).refusing(typeOf[wire.ImportProblem]())},

			{"GET", "/api/admin/api-keys", "listAllKeys", 200, viewTenants, "List the keys of all tenants", on(o.allKeys, from(keyPage, pageParam, limitParam, searchParam, revokedParam), platformKeys)},
			{"DELETE", "/api/admin/api-keys/{id}", "revokeAnyKey", 200, manageTenants, "Revoke a key of any tenant", on(o.revokeAnyKey, fromJSON(revocation).maybe().versioned(), said[keys.Key]("API key revoked"))},
			{"GET", "/api/admin/tenants", "listTenants", 200, viewTenants, "List tenants", on(o.tenants, pages(), tenantList)},
			{"POST", "/api/admin/tenants", "createTenant", 201, manageTenants, "Make a tenant, with a project", on(s.CreateTenant, fromJSON(newTenant), editedTenant)},
			{"GET", "/api/admin/tenants/{id}", "getAnyTenant", 200, viewTenants, "Get a tenant", on(s.TenantByID, byIDOrSlug(), oneTenant)},
			{"PUT", "/api/admin/tenants/{id}", "updateAnyTenant", 200, manageTenants, "Change a tenant", on(o.updateTenant, fromJSON(anyTenantPatch).versioned(), editedTenant)},

			{"POST", "/api/admin/tenants/{id}/api-keys", "createTenantKey", 201, manageTenants, "Make a key in a tenant, as its first one", on(o.createTenantKey, fromJSON(newKeyOfTenant), issued)},

			{"GET", "/api/projects", "listProjects", 200, viewProjects, "List projects", on(o.listProjects, pages(), projectList)},
			{"POST", "/api/projects", "createProject", 201, manageProjects, "Make a project", on(s.CreateProject, fromJSON(newProject), editedProject)},
			{"GET", "/api/projects/{id}", "getProject", 200, viewProjects, "Get a project", on(s.Project, byIDOrSlug(), oneProject)},
			{"PUT", "/api/projects/{id}", "updateProject", 200, manageProjects, "Change a project", on(o.updateProject, fromJSON(projectPatch).versioned(), editedProject)},
			{"DELETE", "/api/projects/{id}", "deleteProject", 200, manageProjects, "Delete a project that has no instances", on(o.deleteProject, byIDOrSlug(), said[nothing]("project deleted"))},

			{"GET", "/api/instances", "listInstances", 200, viewInstances, "List instances", on(o.listInstances, pages(), o.instanceList)},
			{"POST", "/api/instances", "createInstance", 201, manageInstances, "Mount an MCP server", on(s.CreateInstance, fromJSON(newInstance), o.editedInstance)},
			{"GET", "/api/instances/{id}", "getInstance", 200, viewInstances, "Get an instance", on(s.Instance, byIDOrSlug(), o.oneInstance)},
			{"PUT", "/api/instances/{id}", "updateInstance", 200, manageInstances, "Change an instance", on(o.updateInstance, fromJSON(instanceSpec).versioned(), o.editedInstance)},
			{"DELETE", "/api/instances/{id}", "deleteInstance", 200, manageInstances, "Unmount and delete an instance", on(o.deleteInstance, byIDOrSlug(), said[nothing]("instance deleted"))},
			{"GET", "/api/instances/{id}/tools", "listInstanceTools", 200, viewInstances, "List an instance's tools", on(o.instanceTools, from(toolsOf, pageParam, limitParam), toolList)},
			{"POST", "/api/instances/{id}/approve", "approveTools", 200, manageInstances, "Approve tools of an instance as they are announced now", on(o.approveTools, fromJSON(approval), editedTools)},

			{"GET", "/api/presets", "listPresets", 200, viewPresets, "List the tenant's own presets", on(o.listPresets, pages(), presetList)},
			{"POST", "/api/presets", "createPreset", 201, managePresets, "Make a preset", on(s.CreatePreset, fromJSON(newPreset), editedPreset)},
			{"PUT", "/api/presets/{name}", "updatePreset", 200, managePresets, "Change a preset", on(o.updatePreset, fromJSON(presetPatch).versioned(), editedPreset)},
			{"DELETE", "/api/presets/{name}", "deletePreset", 200, managePresets, "Delete a preset that no key uses", on(o.deletePreset, byName(), said[nothing]("preset deleted"))},

			{"GET", "/api/tenant", "getTenant", 200, viewTenant, "Get the tenant", on(o.tenant, from(none), oneTenant)},
			{"PUT", "/api/tenant", "updateTenant", 200, manageTenant, "Change the tenant; mcpEnabled is the switch of all its MCP access", on(s.UpdateTenant, fromJSON(tenantPatch).versioned(), editedTenant)},
			{"GET", "/api/api-keys/{id}/explain", "explainKey", 200, viewAudit, "Tell why a key may or may not call a tool, rule by rule, or which of all it may call", on(o.explain, from(keyToExplain, explainParams...), explained)},
			{"POST", "/api/explain", "explainPolicy", 200, viewAudit, "Tell what a policy would decide that nobody has saved; nothing is written", on(o.explain, fromJSON(draftToExplain), explained)},
			{"GET", "/api/api-keys/{id}/suggestion", "suggestKey", 200, viewAudit, "Suggest the tightest policy that would have allowed what a key was used for; needs view:api-keys too", on(o.suggest, from(usedKey(suggestionDaysParam), suggestionDaysParam), suggestion)},
			{"GET", "/api/api-keys/{id}/shadow", "shadowKey", 200, viewAudit, "Tell where a key's draft policy would have decided its calls otherwise; needs view:api-keys too", on(o.shadow, from(usedKey(shadowDaysParam), shadowDaysParam), shadowReport)},
			{"GET", "/api/decisions/{ref}", "getDecision", 200, viewAudit, "Get the whole decision behind a denial's reference", on(s.DecisionByRef, byRef(), recorded)},

			{"GET", "/api/approvals", "listApprovals", 200, viewApprovals, "List calls that wait, or waited, for a person's approval", on(o.approvals, from(approvalQuery, approvalParams...), approvalList)},
			{"GET", "/api/approvals/{id}", "getApproval", 200, viewApprovals, "Get an approval; its arguments are for holders of manage:approvals", on(s.CallApproval, byID(), oneApproval)},
			{"POST", "/api/approvals/{id}/approve", "approveCall", 200, manageApprovals, "Approve a call that waits: it is made, once", on(o.approveCall, fromJSON(decision).maybe(), oneApproval)},
			{"POST", "/api/approvals/{id}/deny", "denyCall", 200, manageApprovals, "Deny a call that waits", on(o.denyCall, fromJSON(decision).maybe(), oneApproval)},

			{"GET", "/api/audit", "listAudit", 200, viewAudit, "List the audit trail", on(o.audit, from(auditQuery, auditParams...), auditEvents)},
		},
	}
}

const source = "api"

// edited is what the answer to an edit says of it.
func (c *call) edited() wire.Edited { return wire.EditedBy(c.edits.Last()) }

func none(*call) (nothing, error) { return nothing{}, nil }

func byID() input[string] { return from(func(c *call) (string, error) { return c.id(), nil }) }

func byIDOrSlug() input[string] {
	return from(func(c *call) (string, error) { return c.idOrSlug(), nil })
}

func byName() input[string] { return from(func(c *call) (string, error) { return c.name(), nil }) }

// said answers with a sentence, whatever the operation answered.
func said[T any](text string) func(*call, T) wire.Message {
	return func(c *call, _ T) wire.Message { return wire.Message{Message: text, Edited: c.edited()} }
}
