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
	ID               string         `json:"id" doc:"The instance's id." format:"uuid" example:"0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d"`
	ProjectID        string         `json:"projectId" doc:"The project that it is in." format:"uuid" example:"0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d"`
	Slug             string         `json:"slug" doc:"What its tools' names start with; paths take it in place of the id." pattern:"^[a-z0-9-]{1,32}$" maxLength:"32" example:"notes"`
	Transport        keys.Transport `json:"transport" doc:"How it is reached; embedded is inside a program of its own, which alone reaches it." enum:"stdio,http,sse,embedded" example:"http"`
	Command          *string        `json:"command" doc:"The program that is run; stdio only." maxLength:"4096" example:"null"`
	Args             []string       `json:"args" doc:"The program's arguments; stdio only." maxItems:"256" maxLength:"8192" example:"[]"`
	URL              *string        `json:"url" doc:"Where it is; http and sse only." maxLength:"2048" example:"https://mcp.example.com/mcp"`
	HasCredentials   bool           `json:"hasCredentials" doc:"Whether an environment or headers are stored; they are never answered." example:"true"`
	Enabled          bool           `json:"enabled" doc:"False makes its tools unknown." example:"true"`
	WriteEnabled     bool           `json:"writeEnabled" doc:"False lets only its tools of effect read be called." example:"false"`
	TrustAnnotations bool           `json:"trustAnnotations" doc:"Whether what it says of its tools' effects is believed." example:"false"`
	Tools            []ToolRule     `json:"tools" doc:"Your own word on its tools: an exact name first, then the first pattern that matches."`
	QuarantineNew    bool           `json:"quarantineNew" doc:"Whether a tool that it adds later waits for approval, as one that it changes does." example:"false"`
	Source           string         `json:"source" doc:"Where it was made; one of the configuration file, or embedded in a program, can't be changed here." enum:"api,cli,config,import,run,embedded" example:"api"`
	Status           *string        `json:"status" doc:"The state of its connection; null is not known." enum:"connecting,ready,down,disabled" example:"ready"`
	Problem          *string        `json:"problem" doc:"Why it is down." example:"null"`
	CreatedAt        time.Time      `json:"createdAt" doc:"When it was made." example:"2026-01-31T12:00:00Z"`
	UpdatedAt        time.Time      `json:"updatedAt" doc:"When it was last changed." example:"2026-01-31T12:00:00Z"`
	Version          int64          `json:"version" doc:"Grows with every edit; the ETag is made of it." minimum:"1" example:"42"`
}

// InstanceList is a list of instances; Total counts beyond the page.
type InstanceList struct {
	Instances []Instance `json:"instances" doc:"The instances on this page."`
	Total     int        `json:"total" doc:"How many there are, beyond this page too." minimum:"0" example:"1"`
}

// ToolRule is an operator's word on the tools of an instance.
type ToolRule struct {
	Match    string `json:"match" doc:"The upstream's own name of a tool, or a pattern of it; * is the only wildcard." required:"true" minLength:"1" maxLength:"256" pattern:"^[^?{}\\[\\]\\\\]+$" example:"read_*"`
	Category string `json:"category,omitempty" doc:"The category that the tools are of." maxLength:"32" pattern:"^[a-z0-9-]{0,32}$" example:"search"`
	Effect   string `json:"effect,omitempty" doc:"What calling the tools may do." enum:"read,write,destructive" example:"read"`

	ProjectPointer string `json:"projectPointer,omitempty" doc:"Where the arguments of the tools' calls name a project, by id or slug: a JSON pointer (RFC 6901). A key that is limited to projects may name only those." maxLength:"256" pattern:"^(/.*)?$" example:"/project"`
}

// InstanceOf is the wire form of an instance, without its status.
func InstanceOf(i keys.Instance) Instance {
	return Instance{
		ID: i.ID, ProjectID: i.ProjectID, Slug: i.Slug, Transport: i.Transport,
		Command: optional(i.Command), Args: list(i.Args), URL: optional(i.URL),
		HasCredentials: len(i.Sealed) > 0, Enabled: i.Enabled, WriteEnabled: i.WriteEnabled,
		TrustAnnotations: i.TrustAnnotations, Tools: each(i.Tools, toolRuleOf), QuarantineNew: i.QuarantineNew, Source: i.Source,
		CreatedAt: i.CreatedAt, UpdatedAt: i.UpdatedAt, Version: i.Version,
	}
}

// WithStatus adds what the gateway knows of the connection; state "" is not known.
func (i Instance) WithStatus(state, problem string) Instance {
	i.Status, i.Problem = optional(state), optional(problem)
	return i
}

func toolRuleOf(r keys.ToolRule) ToolRule {
	out := ToolRule{Match: r.Match, Category: r.Category, ProjectPointer: r.ProjectPointer}
	if r.Effect != 0 {
		out.Effect = r.Effect.String()
	}
	return out
}

// WriteInstance is the body of a create or an update: absent = the default, or
// unchanged.
type WriteInstance struct {
	ProjectID        keys.Opt[string]            `json:"projectId" doc:"The project that it is in; absent when it is made, the tenant's only one." format:"uuid" example:"0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d"`
	Slug             keys.Opt[string]            `json:"slug" doc:"What its tools' names start with: unique in the tenant, without --, and not bailiwick." pattern:"^[a-z0-9-]{1,32}$" maxLength:"32" required:"create" nonnull:"true" example:"notes"`
	Transport        keys.Opt[keys.Transport]    `json:"transport" doc:"How it is reached. Changing it drops what only the other way needs." required:"create" nonnull:"true" example:"http"`
	Command          keys.Opt[string]            `json:"command" doc:"The program to run; stdio only, and only with manage:tenants." maxLength:"4096" example:"notes-server"`
	Args             keys.Opt[[]string]          `json:"args" doc:"The program's arguments; stdio only." maxItems:"256" maxLength:"8192" example:"[\"--verbose\"]"`
	Env              keys.Opt[map[string]string] `json:"env" doc:"The program's environment; stdio only. Stored encrypted and never answered; absent is unchanged." maxProperties:"128" names:"^[A-Za-z_][A-Za-z0-9_]{0,127}$" maxLength:"32768" example:"{\"API_TOKEN\":\"secret\"}"`
	URL              keys.Opt[string]            `json:"url" doc:"Where it is: http:// or https://, without user, password or fragment; http and sse only. A private address takes manage:tenants." maxLength:"2048" pattern:"^[Hh][Tt][Tt][Pp][Ss]?://" sample:"true" example:"https://mcp.example.com/mcp"`
	Headers          keys.Opt[map[string]string] `json:"headers" doc:"Sent with every request to it; http and sse only. Stored encrypted and never answered; absent is unchanged." maxProperties:"128" names:"^[!#$%&'*+.^_\x60|~0-9A-Za-z-]{1,128}$" maxLength:"32768" example:"{\"Authorization\":\"Bearer secret\"}"`
	Enabled          keys.Opt[bool]              `json:"enabled" doc:"False makes its tools unknown." default:"true" example:"true"`
	WriteEnabled     keys.Opt[bool]              `json:"writeEnabled" doc:"False lets only its tools of effect read be called." default:"false" example:"false"`
	TrustAnnotations keys.Opt[bool]              `json:"trustAnnotations" doc:"Whether to believe what it says of its tools' effects." default:"false" example:"false"`
	Tools            keys.Opt[[]ToolRule]        `json:"tools" doc:"Your own word on its tools: an exact name first, then the first pattern that matches." maxItems:"256" default:"[]"`
	QuarantineNew    keys.Opt[bool]              `json:"quarantineNew" doc:"Whether a tool that it adds later waits for approval, as one that it changes does. The tools that are seen first are approved." default:"false" example:"false"`
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
		TrustAnnotations: w.TrustAnnotations, Tools: tools, QuarantineNew: w.QuarantineNew, Source: source, IfVersion: ifVersion,
	}, nil
}

func toolRules(field string, o keys.Opt[[]ToolRule]) (keys.Opt[[]keys.ToolRule], error) {
	out := keys.Opt[[]keys.ToolRule]{Set: o.Set, Null: o.Null}
	for i, r := range o.Value {
		rule := keys.ToolRule{Match: r.Match, Category: r.Category, ProjectPointer: r.ProjectPointer}
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
	Name        string          `json:"name" doc:"The upstream's own name of it." example:"read_note"`
	Exposed     string          `json:"exposedName" doc:"The name that clients see: <slug>__<name>." example:"notes__read_note"`
	Category    string          `json:"category" doc:"What it is about; the instance's rules say it." example:"search"`
	Effect      string          `json:"effect" doc:"What calling it may do." enum:"read,write,destructive" example:"read"`
	Digest      string          `json:"digest" doc:"SHA-256 over its name, description, schemas and annotations, in hexadecimal." example:"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"`
	Quarantined bool            `json:"quarantined" doc:"Its definition is not the approved one, and waits for approval; until then it is neither listed to clients nor callable." example:"false"`
	Problem     string          `json:"problem,omitempty" doc:"Why it is not offered; absent when it is." example:"its name is too long"`
	Definition  json.RawMessage `json:"definition" doc:"As the upstream announced it last." example:"{\"name\":\"read_note\",\"inputSchema\":{\"type\":\"object\"}}"`

	ApprovedDigest string          `json:"approvedDigest,omitempty" doc:"Of a quarantined tool: the digest that was approved; absent when it is new." example:"60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752"`
	Approved       json.RawMessage `json:"approvedDefinition,omitempty" doc:"Of a quarantined tool: the definition that was approved; absent when it is new, or was too large to be kept." example:"{\"name\":\"read_note\",\"inputSchema\":{\"type\":\"object\"}}"`
}

// ToolList is a list of tools; Total counts beyond the page.
type ToolList struct {
	Tools []Tool `json:"tools" doc:"The tools on this page."`
	Total int    `json:"total" doc:"How many there are, beyond this page too." minimum:"0" example:"1"`
}
