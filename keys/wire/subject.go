package wire

import (
	"time"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// Subject is the subject of a JWT as answered. Its policy is the tenant's
// jwtPolicy.
type Subject struct {
	Issuer      string   `json:"issuer"`
	Subject     string   `json:"subject"`
	Permissions []string `json:"permissions"`
	policy.Policy
	ExpiresAt time.Time `json:"expiresAt"` // the token's
}

// SubjectOf is the wire form of a principal that is a JWT's subject.
func SubjectOf(p keys.Principal) Subject {
	c, given := p.Claims(), p.Tenant().JWTPolicy
	given = given.Canonical()
	return Subject{Issuer: c.Issuer, Subject: c.Subject, Permissions: list(c.Permissions), Policy: given, ExpiresAt: c.ExpiresAt.UTC()}
}
