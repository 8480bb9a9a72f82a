package keys

import "errors"

// ErrWrongSecret is a root secret that is not the one the store was made with.
var ErrWrongSecret = errors.New("the root secret is not the one this store was made with")

// RootSecret is the one secret behind the pepper, the encryption key and the
// MAC keys: at least 32 bytes. Older versions stay readable.
type RootSecret struct {
	Version int
	Value   Secret
	Old     map[int]Secret
}
