package wire

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// Instance is a mounted upstream as answered. Its environment and headers are
// write-only.
type Instance struct {
	ID               string         `json:"id"`
	ProjectID        string         `json:"projectId"`
	Slug             string         `json:"slug"`
	Transport        keys.Transport `json:"transport"`
	Command          *string        `json:"command"`
	Args             []string       `json:"args"`
	URL              *string        `json:"url"`
	HasCredentials   bool           `json:"hasCredentials"` // an environment or headers are stored
	Enabled          bool           `json:"enabled"`
	WriteEnabled     bool           `json:"writeEnabled"`
	TrustAnnotations bool           `json:"trustAnnotations"`
	Tools            []ToolRule     `json:"tools"`
	Source           string         `json:"source"`
	Status           *string        `json:"status"`  // connecting, ready, down, disabled; null = not known here
	Problem          *string        `json:"problem"` // why it is down
	CreatedAt        time.Time      `json:"createdAt"`
	UpdatedAt        time.Time      `json:"updatedAt"`
	Version          int64          `json:"version"`
}

// InstanceList is a list of instances; Total counts beyond the page.
type InstanceList struct {
	Instances []Instance `json:"instances"`
	Total     int        `json:"total"`
}

// ToolRule is an operator's word on the tools of an instance.
type ToolRule struct {
	Match    string `json:"match"`
	Category string `json:"category,omitempty"`
	Effect   string `json:"effect,omitempty"`
}

// InstanceOf is the wire form of an instance, without its status.
func InstanceOf(i keys.Instance) Instance {
	return Instance{
		ID: i.ID, ProjectID: i.ProjectID, Slug: i.Slug, Transport: i.Transport,
		Command: optional(i.Command), Args: list(i.Args), URL: optional(i.URL),
		HasCredentials: len(i.Sealed) > 0, Enabled: i.Enabled, WriteEnabled: i.WriteEnabled,
		TrustAnnotations: i.TrustAnnotations, Tools: each(i.Tools, toolRuleOf), Source: i.Source,
		CreatedAt: i.CreatedAt, UpdatedAt: i.UpdatedAt, Version: i.Version,
	}
}

// WithStatus adds what the gateway knows of the connection; state "" is not known.
func (i Instance) WithStatus(state, problem string) Instance {
	i.Status, i.Problem = optional(state), optional(problem)
	return i
}

func toolRuleOf(r keys.ToolRule) ToolRule {
	out := ToolRule{Match: r.Match, Category: r.Category}
	if r.Effect != 0 {
		out.Effect = r.Effect.String()
	}
	return out
}

// WriteInstance is the body of a create or an update: absent = the default, or
// unchanged.
type WriteInstance struct {
	ProjectID        keys.Opt[string]            `json:"projectId"`
	Slug             keys.Opt[string]            `json:"slug"`
	Transport        keys.Opt[keys.Transport]    `json:"transport"`
	Command          keys.Opt[string]            `json:"command"`
	Args             keys.Opt[[]string]          `json:"args"`
	Env              keys.Opt[map[string]string] `json:"env"`
	URL              keys.Opt[string]            `json:"url"`
	Headers          keys.Opt[map[string]string] `json:"headers"`
	Enabled          keys.Opt[bool]              `json:"enabled"`
	WriteEnabled     keys.Opt[bool]              `json:"writeEnabled"`
	TrustAnnotations keys.Opt[bool]              `json:"trustAnnotations"`
	Tools            keys.Opt[[]ToolRule]        `json:"tools"`
}

// Spec is the domain's request; source is the door it came through, ifVersion
// 0 whatever the version is.
func (w WriteInstance) Spec(source string, ifVersion int64) (keys.InstanceSpec, error) {
	tools, err := toolRules("tools", w.Tools)
	if err != nil {
		return keys.InstanceSpec{}, err
	}
	return keys.InstanceSpec{
		ProjectID: w.ProjectID, Slug: w.Slug, Transport: w.Transport, Command: w.Command, Args: w.Args,
		URL: w.URL, Env: w.Env, Headers: w.Headers, Enabled: w.Enabled, WriteEnabled: w.WriteEnabled,
		TrustAnnotations: w.TrustAnnotations, Tools: tools, Source: source, IfVersion: ifVersion,
	}, nil
}

func toolRules(field string, o keys.Opt[[]ToolRule]) (keys.Opt[[]keys.ToolRule], error) {
	out := keys.Opt[[]keys.ToolRule]{Set: o.Set, Null: o.Null}
	for i, r := range o.Value {
		rule := keys.ToolRule{Match: r.Match, Category: r.Category}
		if r.Effect != "" {
			effect, err := policy.ParseEffect(r.Effect)
			if err != nil {
				return out, invalid(fmt.Sprintf("%s[%d].effect", field, i), "must be read, write or destructive")
			}
			rule.Effect = effect
		}
		out.Value = append(out.Value, rule)
	}
	return out, nil
}

// Tool is one tool of an instance as the operator sees it.
type Tool struct {
	Name        string          `json:"name"`        // upstream name
	Exposed     string          `json:"exposedName"` // <slug>__<name>
	Category    string          `json:"category"`
	Effect      string          `json:"effect"`
	Digest      string          `json:"digest"`
	Quarantined bool            `json:"quarantined"`
	Problem     string          `json:"problem,omitempty"` // why it is not offered
	Definition  json.RawMessage `json:"definition"`        // as the upstream announced it
}

// ToolList is a list of tools; Total counts beyond the page.
type ToolList struct {
	Tools []Tool `json:"tools"`
	Total int    `json:"total"`
}
