package keys

import (
	"time"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// Tenant is an organization. MCPEnabled is its kill switch. AuditArguments has the
// arguments of its tool calls kept in its audit trail, which has only their digest
// else.
type Tenant struct {
	ID             string
	Slug           string // [a-z0-9-]{1,63}, unique
	Name           string
	MCPEnabled     bool
	AuditArguments bool
	JWTPolicy      policy.Policy // what the subjects of JWTs may do over MCP
	CreatedAt      time.Time
	UpdatedAt      time.Time
	Version        int64
}

// DefaultJWTPolicy is the policy of a new tenant: MCP is closed to JWTs, and
// limits nothing else, so that opening it is one switch.
func DefaultJWTPolicy() policy.Policy {
	p := policy.Default()
	p.Active, p.ReadOnly, p.Preset = false, false, policy.PresetFullAccess
	return p
}

// Project groups instances; its slug is unique in the tenant.
type Project struct {
	ID        string
	TenantID  string
	Slug      string
	Name      string
	CreatedAt time.Time
	UpdatedAt time.Time
	Version   int64
}
