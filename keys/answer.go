package keys

import "time"

// Answer is what a principal was answered under an idempotency key, kept until
// ExpiresAt.
type Answer struct {
	TenantID  string
	Principal string // who asked; not the actor, whose names of several kinds could meet
	Key       string // the idempotency key
	Digest    [32]byte
	Sealed    []byte // encrypted, never empty
	ExpiresAt time.Time
}
