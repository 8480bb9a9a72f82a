package keys

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// SeenKeyAlone is what AuditEntry.Seen has of a decision that saw no tool because
// it was about the key alone: may it speak MCP at all.
const SeenKeyAlone = "{}"

// seen is a policy.Tool as AuditEntry.Seen has it: without the id, which is the
// entry's Subject, and the name, which follows from that. Its members are by name,
// so that encoding/json writes them as RFC 8785 does.
type seen struct {
	Category   string         `json:"category,omitempty"`
	Effect     *policy.Effect `json:"effect,omitempty"`
	InstanceID string         `json:"instanceId,omitempty"`
	Permission string         `json:"permission,omitempty"`
	ProjectID  string         `json:"projectId,omitempty"`
	// What an argument rule would demand depends on it: JSON pointer to a project's name.
	ProjectPointer string `json:"projectPointer,omitempty"`
	Quarantined    bool   `json:"quarantined,omitempty"`
	Unknown        bool   `json:"unknown,omitempty"` // nothing else then: the catalog had no such tool
	WriteEnabled   bool   `json:"writeEnabled,omitempty"`
}

// SeenOf is what a decision saw of a tool, for AuditEntry.Seen: JSON in the form
// of RFC 8785. nil is a tool that the catalog lacks. What it answers is the same
// text for all tools that policies can't tell apart but by their names.
func SeenOf(t *policy.Tool) string {
	s := seen{Unknown: true}
	if t != nil {
		s = seen{Category: t.Category, Effect: &t.Effect, InstanceID: t.InstanceID, Permission: t.Permission,
			ProjectID: t.ProjectID, ProjectPointer: t.ProjectPointer, Quarantined: t.Quarantined, WriteEnabled: t.WriteEnabled}
	}
	text, err := json.Marshal(s)
	if err != nil { // an effect that no policy knows
		return ""
	}
	canonical, err := CanonicalJSON(text)
	if err != nil {
		return ""
	}
	return string(canonical)
}

// decidedTool is the tool that an entry was decided about, as policies saw it; nil
// where the catalog had none. alone: it was about the key alone.
func (e *AuditEntry) decidedTool() (t *policy.Tool, alone bool, err error) {
	if e.Seen == SeenKeyAlone {
		return nil, true, nil
	}
	var s seen
	if err := policy.UnmarshalStrict([]byte(e.Seen), &s); err != nil {
		return nil, false, fmt.Errorf("reading what was seen: %w", err)
	}
	if s.Unknown {
		return nil, false, nil
	}
	t = &policy.Tool{ID: e.Subject, Category: s.Category, InstanceID: s.InstanceID, Permission: s.Permission,
		ProjectID: s.ProjectID, ProjectPointer: s.ProjectPointer, Quarantined: s.Quarantined, WriteEnabled: s.WriteEnabled}
	if s.Effect != nil {
		t.Effect = *s.Effect
	}
	slug, name, _ := strings.Cut(e.Subject, "/")
	if t.Name = name; !t.Builtin() {
		t.Name = slug + "__" + name
	}
	return t, false, nil
}
