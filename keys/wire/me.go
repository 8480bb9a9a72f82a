package wire

import (
	"slices"
	"strings"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// Me is who asks, in the capydb shape.
type Me struct {
	// Organization is the principal's tenant.
	Organization MeOrganization `json:"organization" doc:"The organization that the credential acts in."`
	// Principal is the credential.
	Principal MePrincipal `json:"principal" doc:"Who asks."`
}

// MeOrganization is the tenant of who asks.
type MeOrganization struct {
	// ID is the tenant's id.
	ID string `json:"id" doc:"The organization's id." format:"uuid" example:"0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8e"`
	// Slug can stand for the id.
	Slug string `json:"slug" doc:"Its slug, which can stand for its id." pattern:"^[a-z0-9-]{1,63}$" example:"default"`
	// Name is free text.
	Name string `json:"name" doc:"What people call it." maxLength:"200" example:"Default"`
}

// MePrincipal is who asks: a key or a person.
type MePrincipal struct {
	// AuthSource is the kind of credential.
	AuthSource string `json:"auth_source" doc:"The kind of credential." enum:"api_key,jwt" example:"api_key"`
	// Scopes are what is left of the key's under its ancestors.
	Scopes []string `json:"scopes" doc:"What it may do, with all that its parents take away." example:"[\"projects:read\"]"`
	// IsAdmin is holding *.
	IsAdmin bool `json:"is_admin" doc:"Whether it may do everything in the organization." example:"false"`
	// OrganizationID is Me.Organization.ID.
	OrganizationID string `json:"organization_id" doc:"The organization's id." format:"uuid" example:"0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8e"`
	// KeyID is null for a person.
	KeyID *string `json:"key_id" doc:"The key's id; null for a person." format:"uuid" example:"0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d"`
	// KeyName is null for a person.
	KeyName *string `json:"key_name" doc:"The key's name; null for a person." example:"Support agent"`
	// ProjectID is the key's confinement.
	ProjectID *string `json:"project_id" doc:"The one project that the key is confined to; null is no confinement." format:"uuid" example:"null"`
	// UserID is null for a key.
	UserID *string `json:"user_id" doc:"The person; null for a key." example:"null"`
}

// MeOf is who asks, with the rights of now.
func MeOf(p keys.Principal, now time.Time) Me {
	t, k := p.Tenant(), p.Key()
	me := Me{
		Organization: MeOrganization{ID: t.ID, Slug: t.Slug, Name: t.Name},
		Principal: MePrincipal{
			AuthSource: "api_key", Scopes: SpellingCapydb.write(held(p, now)), IsAdmin: p.Can("*", now),
			OrganizationID: t.ID, KeyID: optional(p.KeyID()), ProjectID: optional(k.ProjectID), UserID: person(p.Actor()),
		},
	}
	if p.KeyID() != "" {
		me.Principal.KeyName = &k.Name
	}
	if me.Principal.UserID != nil {
		me.Principal.AuthSource = "jwt"
	}
	return me
}

// held lists the permissions that hold on the key and on all its ancestors: the
// key's own, and what is left of one that does not hold as a whole.
func held(p keys.Principal, now time.Time) []string {
	var out []string
	for _, own := range p.Key().Permissions {
		if p.Can(own, now) {
			out = append(out, own)
		}
	}
	all := policy.KnownPermissions()
	for i := 1; i+1 < len(all); i += 2 { // manage before the view that it implies
		all[i], all[i+1] = all[i+1], all[i]
	}
	for _, known := range all {
		if p.Can(known, now) && !implied(known, out) {
			out = append(out, known)
		}
	}
	return out
}

func implied(permission string, by []string) bool {
	verb, resource, _ := strings.Cut(permission, ":")
	return slices.Contains(by, permission) ||
		verb == "view" && slices.Contains(by, "manage:"+resource) ||
		resource != "tenants" && slices.Contains(by, "*")
}
