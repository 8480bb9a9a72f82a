package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// keyState is one word on whether the key works.
func keyState(k keys.Key, now time.Time) string {
	switch {
	case k.RevokedAt != nil:
		return "revoked"
	case !k.Live(now):
		return "expired"
	case !k.Enabled:
		return "disabled"
	case !k.Policy.Active:
		return "paused"
	}
	return "active"
}

func keyRecord(k keys.Key) []row {
	p := k.Policy
	patterns := string(p.AllowlistMode)
	if p.AllowlistMode != policy.ModeAll {
		patterns += " " + strings.Join(p.ToolAllowlist, ", ")
	}
	rows := []row{
		{"id", k.ID}, {"handle", k.Handle}, {"name", k.Name}, {"prefix", k.Prefix}, {"state", keyState(k, time.Now())},
		{"scope", string(k.Scope)}, {"permissions", orDash(strings.Join(k.Permissions, ", "))},
		{"read-only", yesNo(p.ReadOnly)}, {"preset", p.Preset}, {"categories", limitText(p.Permissions)}, {"tools", patterns},
		{"projects", limitText(p.ProjectIDs)}, {"instances", limitText(p.InstanceIDs)},
		{"expires", when(k.ExpiresAt)}, {"last used", when(k.LastUsedAt)},
		{"created", fmt.Sprintf("%s by %s", when(&k.CreatedAt), k.CreatedBy)}, {"version", fmt.Sprint(k.Version)},
	}
	for _, more := range []row{{"description", k.Description}, {"tags", strings.Join(k.Tags, ", ")},
		{"confined to", k.ProjectID}, {"parent", k.ParentKeyID}, {"device", k.DeviceName}, {"revoked because", k.RevokeReason}} {
		if more[1] != "" {
			rows = append(rows, more)
		}
	}
	return rows
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
