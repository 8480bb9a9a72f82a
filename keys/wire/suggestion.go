package wire

import (
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// Suggestion is the tightest policy that would have allowed what a key was used for.
type Suggestion struct {
	KeyID         string          `json:"keyId" doc:"The key." format:"uuid" example:"0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d"`
	KeyVersion    int64           `json:"keyVersion" doc:"The version of the key that the update is meant for: give it as If-Match." minimum:"1" example:"42"`
	Since         time.Time       `json:"since" doc:"From when on the use was counted." example:"2026-01-01T12:00:00Z"`
	Days          int             `json:"days" doc:"How many days that is." minimum:"1" maximum:"365" example:"30"`
	RecordedSince time.Time       `json:"recordedSince" doc:"From when on the audit trail covers the key's use; what was used before is not known." example:"2026-01-31T12:00:00Z"`
	Used          int             `json:"used" doc:"How many tools it has used, prompts, resources and templates included, of those that it may use now." minimum:"0" example:"3"`
	Allowed       int             `json:"allowed" doc:"How many it may use now." minimum:"0" example:"41"`
	UsedTools     []UsedTool      `json:"usedTools" doc:"Those that it has used, most used first."`
	UnusedTools   int             `json:"unusedTools" doc:"How many it may use now and has not." minimum:"0" example:"38"`
	Update        SuggestedUpdate `json:"update" doc:"The body of the update of the key (PUT /api/api-keys/{id}) that allows just what was used: the fields that would change; {} where none would."`
	Notes         []string        `json:"notes" doc:"What to know before the update is made." example:"[\"the key is younger than 30 days: it was made at 2026-01-31T12:00:00Z\"]"`
}

// SuggestedUpdate has the fields that would change; it is a body of the update of a key.
type SuggestedUpdate struct {
	MCPReadOnly      *bool         `json:"mcpReadOnly,omitempty" doc:"As of a key." example:"true"`
	MCPPreset        *string       `json:"mcpPreset,omitempty" doc:"As of a key." example:"read_only"`
	MCPPermissions   *policy.Limit `json:"mcpPermissions,omitempty" doc:"As of a key." example:"[\"mcp:search\"]"`
	MCPAllowlistMode *policy.Mode  `json:"mcpAllowlistMode,omitempty" doc:"As of a key." example:"allow"`
	MCPToolAllowlist *[]string     `json:"mcpToolAllowlist,omitempty" doc:"As of a key." example:"[\"notes/read_note\"]"`
	MCPProjectIDs    *policy.Limit `json:"mcpProjectIds,omitempty" doc:"As of a key." example:"[\"0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d\"]"`
	MCPInstanceIDs   *policy.Limit `json:"mcpInstanceIds,omitempty" doc:"As of a key." example:"[\"0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d\"]"`
}

// Fields are the same as a request has them.
func (u SuggestedUpdate) Fields() PolicyFields {
	return PolicyFields{
		MCPReadOnly: unlessNil(u.MCPReadOnly), MCPPreset: unlessNil(u.MCPPreset), MCPPermissions: unlessNil(u.MCPPermissions),
		MCPAllowlistMode: unlessNil(u.MCPAllowlistMode), MCPToolAllowlist: unlessNil(u.MCPToolAllowlist),
		MCPProjectIDs: unlessNil(u.MCPProjectIDs), MCPInstanceIDs: unlessNil(u.MCPInstanceIDs),
	}
}

func unlessNil[T any](v *T) keys.Opt[T] {
	if v == nil {
		return keys.Opt[T]{}
	}
	return keys.Some(*v)
}

func ifSet[T any](o keys.Opt[T]) *T {
	if !o.Set {
		return nil
	}
	return &o.Value
}

// UsedTool is a tool, or a prompt, resource or template, that a key has used.
type UsedTool struct {
	ID     string    `json:"id" doc:"Its canonical id: <instance>/<name or uri>; the server's own are bailiwick/<name>." example:"notes/read_note"`
	Name   string    `json:"name" doc:"Its name as listed." example:"notes__read_note"`
	Kind   string    `json:"kind" doc:"What it is." enum:"tool,prompt,resource,template" example:"tool"`
	Count  int       `json:"count" doc:"How often it is recorded to be used, by the key and the keys below it." minimum:"1" example:"12"`
	LastAt time.Time `json:"lastAt" doc:"When it was used last." example:"2026-01-31T12:00:00Z"`
}

// SuggestionOf is the wire form of a suggestion.
func SuggestionOf(s keys.Suggestion) Suggestion {
	used := func(t keys.UsedTool) UsedTool {
		return UsedTool{ID: t.ID, Name: t.Name, Kind: t.Kind, Count: t.Count, LastAt: t.Last}
	}
	u := s.Update
	return Suggestion{
		KeyID: s.Key.ID, KeyVersion: s.Key.Version, Since: s.Since, Days: s.Days, RecordedSince: s.RecordedSince,
		Used: len(s.Used), Allowed: s.Allowed, UsedTools: each(s.Used, used), UnusedTools: s.Allowed - len(s.Used),
		Update: SuggestedUpdate{
			MCPReadOnly: ifSet(u.MCPReadOnly), MCPPreset: ifSet(u.MCPPreset), MCPPermissions: ifSet(u.MCPPermissions),
			MCPAllowlistMode: ifSet(u.MCPAllowlistMode), MCPToolAllowlist: ifSet(u.MCPToolAllowlist),
			MCPProjectIDs: ifSet(u.MCPProjectIDs), MCPInstanceIDs: ifSet(u.MCPInstanceIDs),
		},
		Notes: list(s.Notes),
	}
}
