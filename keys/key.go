package keys

import (
	"time"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// Key is a tenant API key, without its secrets.
type Key struct {
	ID          string
	TenantID    string
	Handle      string // unique among the tenant's live keys, immutable
	Name        string
	Description string
	Tags        []string
	Prefix      string // token prefix plus 4 characters, for display

	Scope       policy.Scope // immutable
	Permissions []string     // REST: view:<resource>, manage:<resource>, *
	Enabled     bool
	Policy      policy.Policy
	Shadow      *policy.Policy // a draft, decided beside Policy and only recorded; nil = none

	ProjectID   string // confinement; immutable; "" = none
	ParentKeyID string // "" = none
	Source      string // dashboard, api, cli, agent, mcp
	DeviceName  string
	CreatedBy   string // key id, "operator", or a JWT subject

	ExpiresAt    *time.Time // immutable; nil = never
	LastUsedAt   *time.Time
	RevokedAt    *time.Time
	RevokedBy    string
	RevokeReason string
	CreatedAt    time.Time
	UpdatedAt    time.Time
	Version      int64 // the epoch of the last edit
}

// Live tells whether the key is neither revoked nor expired at now.
func (k *Key) Live(now time.Time) bool {
	return k.RevokedAt == nil && (k.ExpiresAt == nil || now.Before(*k.ExpiresAt))
}

// KeySecret is one of a key's one or two secrets, at rest.
type KeySecret struct {
	KeyID     string
	TenantID  string
	Hash      [32]byte // HMAC-SHA-256(pepper, SHA-256(token))
	Pepper    int      // version of the root secret that made Hash
	Imported  bool
	CreatedAt time.Time
	ExpiresAt *time.Time // nil = with the key
}

// KeyQuery selects keys. The zero query is all keys of the tenant, revoked ones
// left out, oldest first.
type KeyQuery struct {
	Search         string // part of name, handle or prefix, case-insensitive; % and _ are literal
	IncludeRevoked bool
	LiveAt         time.Time // only keys that are Live then; zero = whatever
	ParentKeyID    string
	ProjectID      string
	Limit          int // 0 = no limit
	Offset         int
}
