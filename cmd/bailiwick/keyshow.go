package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// keyState is one word on whether the key works.
func keyState(k wire.Key, now time.Time) string {
	switch {
	case k.RevokedAt != nil:
		return "revoked"
	case k.ExpiresAt != nil && !now.Before(*k.ExpiresAt):
		return "expired"
	case !k.Enabled:
		return "disabled"
	case !k.MCPActive:
		return "paused"
	}
	return "active"
}

func keyRecord(k wire.Key) []row {
	patterns := string(k.MCPAllowlistMode)
	if k.MCPAllowlistMode != policy.ModeAll {
		patterns += " " + cmp.Or(strings.Join(k.MCPToolAllowlist, ", "), "none")
	}
	rows := []row{
		{"id", k.ID}, {"handle", k.Handle}, {"name", k.Name}, {"prefix", k.Prefix}, {"state", keyState(k, time.Now())},
		{"scope", string(k.Scope)}, {"permissions", orDash(strings.Join(k.Permissions, ", "))},
		{"read-only", yesNo(k.MCPReadOnly)}, {"preset", k.MCPPreset}, {"categories", limitText(k.MCPPermissions)}, {"tools", patterns},
		{"projects", limitText(k.MCPProjectIDs)}, {"instances", limitText(k.MCPInstanceIDs)},
		{"expires", when(k.ExpiresAt)}, {"last used", when(k.LastUsedAt)},
		{"created", fmt.Sprintf("%s by %s", when(&k.CreatedAt), k.CreatedBy)}, {"version", fmt.Sprint(k.Version)},
	}
	rows = append(rows, argumentRows(k.MCPArgumentRules)...)
	draft := ""
	if k.MCPShadow != nil {
		draft = "set; see bailiwick keys shadow " + k.Handle
	}
	for _, more := range []row{{"shadow", draft}, {"description", k.Description}, {"tags", strings.Join(k.Tags, ", ")},
		{"limits", limitsText(k.MCPLimits)}, {"needs approval", approvalTexts(k.MCPApprovals)},
		{"confined to", orEmpty(k.ProjectID)}, {"parent", orEmpty(k.ParentKeyID)}, {"device", orEmpty(k.DeviceName)}, {"revoked because", orEmpty(k.RevokeReason)}} {
		if more[1] != "" {
			rows = append(rows, more)
		}
	}
	return rows
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func limitText(l policy.Limit) string {
	switch {
	case l.IsUnlimited():
		return "all"
	case len(l.Values()) == 0:
		return "none"
	}
	return strings.Join(l.Values(), ", ")
}
