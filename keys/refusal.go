package keys

import "errors"

// Refusal is a class of reasons for which a request is not authenticated. It
// is for counting: a client is never told.
type Refusal string

// The refusals.
const (
	RefusedMissing     Refusal = "missing"     // no credential
	RefusedSeveral     Refusal = "several"     // more than one
	RefusedMalformed   Refusal = "malformed"   // not a credential of any kind
	RefusedChecksum    Refusal = "checksum"    // no token of this system, or one that was mistyped
	RefusedUnknown     Refusal = "unknown"     // nobody's, by the store
	RefusedEnded       Refusal = "ended"       // a key, or one it comes from, that is revoked, expired or disabled
	RefusedKnown       Refusal = "known"       // not for the first time, and refused without asking the store again
	RefusedJWT         Refusal = "jwt"         // a JWT that does not count
	RefusedTenant      Refusal = "tenant"      // no tenant is named, or one that is not the credential's
	RefusedStale       Refusal = "stale"       // this process must not decide
	RefusedBusy        Refusal = "busy"        // not looked up: too many that nobody knows came before it
	RefusedUnavailable Refusal = "unavailable" // the store, or an issuer, can't be reached
)

// Refusals are all of them.
var Refusals = []Refusal{RefusedMissing, RefusedSeveral, RefusedMalformed, RefusedChecksum, RefusedUnknown, RefusedEnded,
	RefusedKnown, RefusedJWT, RefusedTenant, RefusedStale, RefusedBusy, RefusedUnavailable}

// badCredential is an ErrBadCredential of a class; its text does not tell which.
type badCredential Refusal

func (badCredential) Error() string        { return ErrBadCredential.Error() }
func (badCredential) Is(target error) bool { return target == ErrBadCredential }

// ErrBadJWT is an ErrBadCredential: a JWT that does not count.
var ErrBadJWT error = badCredential(RefusedJWT)

// RefusalOf is the class of an error of authentication, "" for none of one.
func RefusalOf(err error) Refusal {
	var bad badCredential
	var several *InvalidError
	var busy *BusyError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &bad):
		return Refusal(bad)
	case errors.Is(err, ErrBadCredential):
		return RefusedMalformed
	case errors.Is(err, ErrUnauthenticated):
		return RefusedMissing
	case errors.As(err, &several):
		return RefusedSeveral
	case errors.Is(err, ErrNoTenant), errors.Is(err, ErrNotFound):
		return RefusedTenant
	case errors.Is(err, ErrStale):
		return RefusedStale
	case errors.As(err, &busy):
		return RefusedBusy
	}
	return RefusedUnavailable
}
