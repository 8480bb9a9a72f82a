package keys

import (
	"encoding/json"
	"time"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// Transport says how an instance is reached.
type Transport string

// The transports.
const (
	TransportStdio Transport = "stdio"
	TransportHTTP  Transport = "http"
	TransportSSE   Transport = "sse"
	// TransportEmbedded is a server inside the program that serves it: no other
	// program reaches it. Only Service.Embed makes such an instance.
	TransportEmbedded Transport = "embedded"
)

// Instance is one mounted upstream MCP server, in exactly one project.
type Instance struct {
	ID        string
	TenantID  string
	ProjectID string
	Slug      string // [a-z0-9-]{1,32}, no "--", not "bailiwick", unique in the tenant
	Transport Transport

	Command string   // stdio
	Args    []string // stdio
	URL     string   // http, sse

	// Sealed holds Credentials, encrypted under the root secret with the
	// instance's id as associated data; empty when there are none.
	Sealed []byte

	Enabled          bool
	WriteEnabled     bool
	TrustAnnotations bool
	QuarantineNew    bool // a tool that a known instance adds waits for approval
	AllowPrivate     bool // URLs on loopback, link-local and private addresses, as decided when written
	Tools            []ToolRule
	Source           string // api, cli, config, import, run, embedded
	CreatedAt        time.Time
	UpdatedAt        time.Time
	Version          int64
}

// Quarantined tells a tool that waits for approval. None of an embedded server's
// does: who could change its definitions there has written the tools, too.
func (i *Instance) Quarantined(d *Definition) bool {
	return i.Transport != TransportEmbedded && d.Quarantined()
}

// Credentials are the secret parts of an instance's configuration.
type Credentials struct {
	Env     map[string]string `json:"env,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
}

// ToolRule is an operator's word on an instance's tools: an exact name or a
// pattern of the upstream name, and the category or effect it gives, or where in
// the arguments of calls a project is named ("" and 0 give none).
type ToolRule struct {
	Match          string        `json:"match"`
	Category       string        `json:"category,omitempty"`
	Effect         policy.Effect `json:"effect,omitempty"`
	ProjectPointer string        `json:"projectPointer,omitempty"` // JSON pointer (RFC 6901)
}

// Definition is one tool (later: resource, prompt) as an upstream announced it,
// and of a tool what was approved of it. The pin is the Store's: what is saved
// with a definition says nothing about it.
type Definition struct {
	InstanceID string
	Kind       string // tool
	Name       string // upstream name
	Raw        json.RawMessage
	Digest     string // hex SHA-256 over name, description, schemas, annotations
	SeenAt     time.Time

	Pinned     string          // the digest that was approved; "" = none yet
	PinVersion int64           // the edit that approved it; 0 = as first seen
	Approved   json.RawMessage // what was approved, where it is not Raw; empty = not kept
	Gone       bool            // no longer announced: kept for its pin, and never read back by Reader.Definitions
}

// Preset is a tenant's own ceiling, looked up by name when deciding.
type Preset struct {
	TenantID string
	Name     string
	policy.Preset
	CreatedAt time.Time
	UpdatedAt time.Time
	Version   int64
}
