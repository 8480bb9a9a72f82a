package wire

import (
	"strings"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// OrganizationKey is a key in the capydb shape: every field is always there,
// null where it is unset.
type OrganizationKey struct {
	// CreatedAt is in UTC, as all times are.
	CreatedAt time.Time `json:"created_at" doc:"When it was made." example:"2026-01-31T12:00:00Z"`
	// CreatedByUserID is null for what a key, or the operator, made.
	CreatedByUserID *string `json:"created_by_user_id" doc:"The person who made it; null where a key or the operator did." example:"null"`
	// DeviceName is free text.
	DeviceName *string `json:"device_name" doc:"The device that it was made for." maxLength:"200" example:"build-server"`
	// ExpiresAt never changes.
	ExpiresAt *time.Time `json:"expires_at" doc:"From when on it no longer counts; null is never." example:"2030-01-31T12:00:00Z"`
	// ID is the same in every shape.
	ID string `json:"id" doc:"The key's id." format:"uuid" example:"0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d"`
	// IsActive is computed when it is answered.
	IsActive bool `json:"is_active" doc:"Whether it works now: enabled, not revoked and not expired." example:"true"`
	// KeyPrefix can't be used for anything.
	KeyPrefix string `json:"key_prefix" doc:"What the key starts with, for display." example:"bwk_live_aB3x"`
	// LastUsedAt is behind by some seconds.
	LastUsedAt *time.Time `json:"last_used_at" doc:"When it was last used; null is never." example:"2026-01-31T12:00:00Z"`
	// Name is not unique.
	Name string `json:"name" doc:"What people call it; not unique." minLength:"1" maxLength:"200" example:"Support agent"`
	// OrganizationID is the tenant's id, never its slug.
	OrganizationID string `json:"organization_id" doc:"The organization that owns it." format:"uuid" example:"0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8e"`
	// ProjectID never changes.
	ProjectID *string `json:"project_id" doc:"The one project that the key is confined to; null is no confinement." format:"uuid" example:"null"`
	// RevokedAt stays: revoked keys are listed.
	RevokedAt *time.Time `json:"revoked_at" doc:"When it was revoked, for good; null is not revoked." example:"null"`
	// Scopes are never null.
	Scopes []string `json:"scopes" doc:"What it may do: <resource>:read, <resource>:write (which includes read), or * (everything in the organization)." pattern:"^([*]|(api_keys|projects|instances|presets|audit|approvals|tenant|tenants):(read|write))$" example:"[\"projects:read\"]"`
	// Source is which door it came through.
	Source string `json:"source" doc:"Where it was made." enum:"dashboard,api,cli,agent,mcp" example:"api"`
}

// OrganizationKeyList is all keys of an organization, revoked ones too.
type OrganizationKeyList struct {
	// APIKeys are oldest first.
	APIKeys []OrganizationKey `json:"api_keys" doc:"The keys, oldest first, revoked ones too."`
}

// IssuedOrganizationKey is a key and, this once, its plaintext.
type IssuedOrganizationKey struct {
	// APIKey is without its secret.
	APIKey OrganizationKey `json:"api_key" doc:"The key."`
	// PlaintextAPIKey is the secret.
	PlaintextAPIKey string `json:"plaintext_api_key" doc:"The key itself. It is shown this once, and kept as a hash only." example:"bwk_live_aB3xYtZ"`
}

// OrganizationKeyOf is the capydb form of a key as it is at now.
func OrganizationKeyOf(k keys.Key, now time.Time) OrganizationKey {
	return OrganizationKey{
		CreatedAt: k.CreatedAt, CreatedByUserID: person(k.CreatedBy), DeviceName: optional(k.DeviceName),
		ExpiresAt: k.ExpiresAt, ID: k.ID, IsActive: k.Enabled && k.Live(now), KeyPrefix: k.Prefix,
		LastUsedAt: k.LastUsedAt, Name: k.Name, OrganizationID: k.TenantID, ProjectID: optional(k.ProjectID),
		RevokedAt: k.RevokedAt, Scopes: SpellingCapydb.write(k.Permissions), Source: k.Source,
	}
}

// OrganizationKeyListOf is the capydb form of a list of keys.
func OrganizationKeyListOf(ks []keys.Key, now time.Time) OrganizationKeyList {
	return OrganizationKeyList{APIKeys: each(ks, func(k keys.Key) OrganizationKey { return OrganizationKeyOf(k, now) })}
}

// IssuedOrganizationKeyOf shows the plaintext.
func IssuedOrganizationKeyOf(i keys.Issued, now time.Time) IssuedOrganizationKey {
	return IssuedOrganizationKey{APIKey: OrganizationKeyOf(i.Key, now), PlaintextAPIKey: i.Secret.Reveal()}
}

// person tells an actor that is a person, known by a JWT's subject, from others.
func person(actor string) *string {
	if !strings.HasPrefix(actor, "jwt:") {
		return nil
	}
	return &actor
}

// CreateOrganizationKey is the body of a create.
type CreateOrganizationKey struct {
	// Name is required, which the domain checks.
	Name keys.Opt[string] `json:"name" doc:"What people call it; not unique." minLength:"1" maxLength:"200" required:"true" example:"Support agent"`
	// Scopes must be there: none is written as [].
	Scopes keys.Opt[[]string] `json:"scopes" doc:"What it may do: <resource>:read, <resource>:write (which includes read), or * (everything in the organization); [] is nothing." pattern:"^([*]|(api_keys|projects|instances|presets|audit|approvals|tenant|tenants):(read|write))$" required:"true" example:"[\"projects:read\"]"`
	// ProjectID confines the key.
	ProjectID keys.Opt[string] `json:"project_id" doc:"Confines the key to one project, for good; then only scopes on projects and instances can stand beside it." format:"uuid" example:"0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d"`
	// DeviceName is free text.
	DeviceName keys.Opt[string] `json:"device_name" doc:"The device that it is made for." maxLength:"200" example:"build-server"`
	// ExpiresAt is in the future.
	ExpiresAt keys.Opt[string] `json:"expires_at" doc:"From when on it no longer counts (RFC 3339, in the future); absent or null is never. It never changes." format:"date-time" example:"2030-01-31T12:00:00Z"`
}

// NewKey is the domain's request. This shape knows nothing of MCP, so the key's
// MCP access starts paused. The error is a *keys.InvalidError.
func (c CreateOrganizationKey) NewKey(source string) (keys.NewKey, error) {
	permissions, faults := SpellingCapydb.read("scopes", c.Scopes.Value)
	if !c.Scopes.Set || c.Scopes.Null {
		faults = append(faults, policy.Problem{Field: "scopes", Problem: "is required: send [] for none"})
	}
	faults = append(faults, emptyProject(c.ProjectID)...)
	expires, err := parseTime("expires_at", c.ExpiresAt)
	if err != nil {
		return keys.NewKey{}, err
	}
	if faults != nil {
		return keys.NewKey{}, &keys.InvalidError{Fields: faults}
	}
	return keys.NewKey{
		Name: c.Name.Value, Permissions: keys.Some(permissions), ProjectID: c.ProjectID.Value,
		DeviceName: c.DeviceName.Value, ExpiresAt: expires, Source: source,
		PolicyPatch: keys.PolicyPatch{MCPActive: keys.Some(false)},
	}, nil
}

// emptyProject finds fault with a project that is named and is none: it would
// confine nothing.
func emptyProject(id keys.Opt[string]) []policy.Problem {
	if !id.Set || id.Null || id.Value != "" {
		return nil
	}
	return []policy.Problem{{Field: "project_id", Problem: "must not be empty: leave it out for none"}}
}

// Revoked answers a revocation.
type Revoked struct {
	// Revoked is true.
	Revoked bool `json:"revoked" doc:"Always true: the key is revoked, now or before." example:"true"`
}

// Fault is an error in the capydb shape.
type Fault struct {
	// Error says what to do next.
	Error string `json:"error" doc:"What is wrong, for people." example:"api key not found"`
}
