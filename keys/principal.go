package keys

import (
	"slices"
	"time"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// Principal is who asks. Only the Service makes one that may do anything; the
// zero Principal is nobody and is denied everywhere.
type Principal struct {
	kind   principalKind
	tenant Tenant
	key    Key
	hash   [32]byte // of the secret that authenticated
	grant  *policy.Grant
	chain  []string // ids of the key and its ancestors
	epoch  int64    // as of which the grant was compiled

	projects []string  // the chain's confinements, all of which hold; nil = none
	until    time.Time // when the first of secret, key and ancestors expires; zero = never
}

type principalKind uint8

const (
	principalNobody principalKind = iota
	principalKey
	principalOperator
	principalPlatform // the operator in no tenant
)

// Valid tells a principal from nobody.
func (p Principal) Valid() bool { return p.kind != principalNobody }

// IsOperator tells the local operator in a tenant, who owns the store, from a
// key and from the platform's operator.
func (p Principal) IsOperator() bool { return p.kind == principalOperator }

// Tenant is the tenant that the principal acts in.
func (p Principal) Tenant() Tenant { return p.tenant }

// TenantID is the id of that tenant.
func (p Principal) TenantID() string { return p.tenant.ID }

// Key is the key that authenticated; the zero Key for the operator.
func (p Principal) Key() Key { return p.key }

// KeyID is "" for the operator.
func (p Principal) KeyID() string { return p.key.ID }

// Actor names the principal in the audit trail: the key's id or "operator".
func (p Principal) Actor() string {
	switch p.kind {
	case principalKey:
		return p.key.ID
	case principalOperator, principalPlatform:
		return "operator"
	}
	return ""
}

// Grant is the key's compiled policy; nil (which denies) for everybody else.
func (p Principal) Grant() *policy.Grant { return p.grant }

// Epoch is the edit as of which the principal's rights were read.
func (p Principal) Epoch() int64 { return p.epoch }

// Chain holds the ids of the key and of its ancestors.
func (p Principal) Chain() []string { return p.chain }

// Can tells whether the principal holds a REST permission now, on every
// ancestor too. The operator holds all, the platform's view:tenants and
// manage:tenants alone, an expired key none.
func (p Principal) Can(permission string, now time.Time) bool {
	switch p.kind {
	case principalOperator:
		return true
	case principalPlatform:
		return permission == viewTenants || permission == manageTenants
	case principalKey:
		return !p.expired(now) && p.grant.Can(permission)
	}
	return false
}

func (p Principal) expired(now time.Time) bool { return !p.until.IsZero() && !now.Before(p.until) }

// reaches tells whether the confinements of the chain leave the project in sight.
func (p Principal) reaches(projectID string) bool {
	return !slices.ContainsFunc(p.projects, func(id string) bool { return id != projectID })
}
