package db

import (
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

type keyRow struct {
	bun.BaseModel    `bun:"table:keys"`
	ID               string `bun:",pk"`
	TenantID         string
	Handle           string
	Name             string
	Description      string
	Tags             list
	Prefix           string
	Search           string
	Scope            string
	Permissions      list
	Enabled          bool
	MCPActive        bool                       `bun:"mcp_active"`
	MCPReadOnly      bool                       `bun:"mcp_read_only"`
	MCPPreset        string                     `bun:"mcp_preset"`
	MCPPermissions   limit                      `bun:"mcp_permissions"`
	MCPAllowlistMode string                     `bun:"mcp_allowlist_mode"`
	MCPToolAllowlist list                       `bun:"mcp_tool_allowlist"`
	MCPProjectIDs    limit                      `bun:"mcp_project_ids"`
	MCPInstanceIDs   limit                      `bun:"mcp_instance_ids"`
	MCPArgumentRules rules[policy.ArgumentRule] `bun:"mcp_argument_rules"`
	MCPApprovals     rules[policy.ApprovalRule] `bun:"mcp_approvals"`
	MCPLimits        rules[policy.RateLimit]    `bun:"mcp_limits"`
	MCPShadow        optionalPolicy             `bun:"mcp_shadow"`
	ProjectID        string
	ParentKeyID      string
	Source           string
	DeviceName       string
	CreatedBy        string
	ExpiresAt        *time.Time
	LastUsedAt       *time.Time
	RevokedAt        *time.Time
	RevokedBy        string
	RevokeReason     string
	CreatedAt        time.Time
	UpdatedAt        time.Time
	Version          int64
}

func newKeyRow(k *keys.Key, epoch int64) *keyRow {
	p := k.Policy
	return &keyRow{
		ID: k.ID, TenantID: k.TenantID, Handle: k.Handle, Name: k.Name, Description: k.Description,
		Tags: k.Tags, Prefix: k.Prefix, Search: searchText(k), Scope: string(k.Scope),
		Permissions: k.Permissions, Enabled: k.Enabled,
		MCPActive: p.Active, MCPReadOnly: p.ReadOnly, MCPPreset: p.Preset, MCPPermissions: limit{p.Permissions},
		MCPAllowlistMode: string(p.AllowlistMode), MCPToolAllowlist: p.ToolAllowlist,
		MCPProjectIDs: limit{p.ProjectIDs}, MCPInstanceIDs: limit{p.InstanceIDs},
		MCPArgumentRules: withValues(p.ArgumentRules), MCPApprovals: p.Approvals, MCPLimits: p.Limits, MCPShadow: optionalPolicy{k.Shadow},
		ProjectID: k.ProjectID, ParentKeyID: k.ParentKeyID, Source: k.Source, DeviceName: k.DeviceName,
		CreatedBy: k.CreatedBy, ExpiresAt: stampOrNil(k.ExpiresAt), LastUsedAt: stampOrNil(k.LastUsedAt),
		RevokedAt: stampOrNil(k.RevokedAt), RevokedBy: k.RevokedBy, RevokeReason: k.RevokeReason,
		CreatedAt: stamp(k.CreatedAt), UpdatedAt: stamp(k.UpdatedAt), Version: epoch,
	}
}

func (r *keyRow) key() keys.Key {
	return keys.Key{
		ID: r.ID, TenantID: r.TenantID, Handle: r.Handle, Name: r.Name, Description: r.Description,
		Tags: notNil(r.Tags), Prefix: r.Prefix, Scope: policy.Scope(r.Scope),
		Permissions: notNil(r.Permissions), Enabled: r.Enabled,
		Policy: policy.Policy{
			Active: r.MCPActive, ReadOnly: r.MCPReadOnly, Preset: r.MCPPreset, Permissions: r.MCPPermissions.Limit,
			AllowlistMode: policy.Mode(r.MCPAllowlistMode), ToolAllowlist: notNil(r.MCPToolAllowlist),
			ProjectIDs: r.MCPProjectIDs.Limit, InstanceIDs: r.MCPInstanceIDs.Limit,
			ArgumentRules: r.MCPArgumentRules, Approvals: r.MCPApprovals, Limits: r.MCPLimits,
		},
		Shadow:    r.MCPShadow.Policy,
		ProjectID: r.ProjectID, ParentKeyID: r.ParentKeyID, Source: r.Source, DeviceName: r.DeviceName,
		CreatedBy: r.CreatedBy, ExpiresAt: stampOrNil(r.ExpiresAt), LastUsedAt: stampOrNil(r.LastUsedAt),
		RevokedAt: stampOrNil(r.RevokedAt), RevokedBy: r.RevokedBy, RevokeReason: r.RevokeReason,
		CreatedAt: r.CreatedAt.UTC(), UpdatedAt: r.UpdatedAt.UTC(), Version: r.Version,
	}
}

// searchBreak keeps a search from matching across two fields.
const searchBreak = "\x1f"

// searchText is what a search looks through, folded by the same function as the
// search: the databases' own folding depends on their locales.
func searchText(k *keys.Key) string {
	return strings.ToLower(k.Name + searchBreak + k.Handle + searchBreak + k.Prefix)
}

// notNil copies a list; without values it is empty, never nil.
func notNil(values []string) []string { return append([]string{}, values...) }
