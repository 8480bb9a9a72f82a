package keys

import "time"

// Tenant is an organization. MCPEnabled is its kill switch.
type Tenant struct {
	ID         string
	Slug       string // [a-z0-9-]{1,63}, unique
	Name       string
	MCPEnabled bool
	CreatedAt  time.Time
	UpdatedAt  time.Time
	Version    int64
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
