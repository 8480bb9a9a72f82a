package keys

import (
	"slices"
	"time"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// Principal is who asks. Only the Service makes one that may do anything; the
// zero Principal is nobody and is denied everywhere.
type Principal struct{ is *identity } // nil = nobody

// identity is what a Principal stands for. It is shared, by all requests with one
// credential, so nobody changes it once it is out.
type identity struct {
	kind   principalKind
	tenant *Tenant // never nil; shared
	key    Key
	claims *SubjectClaims // of a JWT's subject; its tenant by id
	hash   [32]byte       // of the secret that authenticated
	grant  *policy.Grant
	draft  *policy.Grant // of the key's draft policy; nil = none, or unread
	chain  []string      // ids of the key and its ancestors
	epoch  int64         // as of which the grant was compiled

	projects []string  // the chain's confinements, all of which hold; nil = none
	until    time.Time // when the first of secret, key and ancestors, or the JWT, expires; zero = never
}

var nobody = identity{tenant: &Tenant{}}

// of is never nil, and read only.
func (p Principal) of() *identity {
	if p.is == nil {
		return &nobody
	}
	return p.is
}

// in is the same one acting in a tenant.
func (p Principal) in(t Tenant) Principal {
	is := *p.of()
	is.tenant = &t
	return Principal{&is}
}

type principalKind uint8

const (
	principalNobody principalKind = iota
	principalKey
	principalOperator
	principalPlatform // the operator in no tenant
	principalSubject  // of a JWT
)

// Valid tells a principal from nobody.
func (p Principal) Valid() bool { return p.of().kind != principalNobody }

// IsOperator tells the local operator in a tenant, who owns the store, from a
// key and from the platform's operator.
func (p Principal) IsOperator() bool { return p.of().kind == principalOperator }

// IsSubject tells the subject of a JWT from the others.
func (p Principal) IsSubject() bool { return p.of().kind == principalSubject }

// Claims are those of a JWT's subject, its tenant by id; zero for the others.
func (p Principal) Claims() SubjectClaims {
	if claims := p.of().claims; claims != nil {
		return *claims
	}
	return SubjectClaims{}
}

// Tenant is the tenant that the principal acts in.
func (p Principal) Tenant() Tenant { return *p.of().tenant }

// TenantID is the id of that tenant.
func (p Principal) TenantID() string { return p.of().tenant.ID }

// AuditsArguments tells whether that tenant keeps the arguments of its tool calls.
func (p Principal) AuditsArguments() bool { return p.of().tenant.AuditArguments }

// Key is the key that authenticated; the zero Key for the others.
func (p Principal) Key() Key { return p.of().key }

// KeyID is "" for all but keys.
func (p Principal) KeyID() string { return p.of().key.ID }

// ID tells the principals of a tenant apart: the key's id, the actor of a JWT's
// subject; "" for the operator.
func (p Principal) ID() string {
	if p.of().kind == principalSubject {
		return p.of().claims.actor()
	}
	return p.of().key.ID
}

// Scope says which doors are open: the key's, all for a JWT's subject, none for
// the operator, who comes through none.
func (p Principal) Scope() policy.Scope {
	if p.of().kind == principalSubject {
		return policy.ScopeFull
	}
	return p.of().key.Scope
}

// Actor names the principal in the audit trail: the key's id, "operator", or
// jwt:<issuer>|<sub>, the issuer without its https://.
func (p Principal) Actor() string {
	switch p.of().kind {
	case principalKey, principalSubject:
		return p.ID()
	case principalOperator, principalPlatform:
		return "operator"
	}
	return ""
}

// Grant is the compiled policy of the key or subject; nil (which denies) for
// everybody else.
func (p Principal) Grant() *policy.Grant { return p.of().grant }

// Epoch is the edit as of which the principal's rights were read.
func (p Principal) Epoch() int64 { return p.of().epoch }

// Chain holds the ids of the key and of its ancestors.
func (p Principal) Chain() []string { return p.of().chain }

// Can tells whether the principal holds a REST permission now, on every
// ancestor too. The operator holds all, the platform's view:tenants and
// manage:tenants alone, an expired key or JWT none.
func (p Principal) Can(permission string, now time.Time) bool {
	switch p.of().kind {
	case principalOperator:
		return true
	case principalPlatform:
		return permission == viewTenants || permission == manageTenants
	case principalKey, principalSubject:
		return !p.expired(now) && p.of().grant.Can(permission)
	}
	return false
}

func (p Principal) expired(now time.Time) bool {
	return !p.of().until.IsZero() && !now.Before(p.of().until)
}

// reaches tells whether the confinements of the chain leave the project in sight.
func (p Principal) reaches(projectID string) bool {
	return !slices.ContainsFunc(p.of().projects, func(id string) bool { return id != projectID })
}
