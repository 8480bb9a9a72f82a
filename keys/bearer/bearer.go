package bearer

import (
	"context"
	"net/http"
	"strings"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// maxCredential bounds what is hashed for a stranger, in bytes.
const maxCredential = 8 << 10

// APIKeys authenticates an API key: *keys.Service does.
type APIKeys interface {
	Authenticate(ctx context.Context, token keys.Secret) (keys.Principal, error)
}

// Authenticator authenticates requests. APIKeys is required.
type Authenticator struct {
	APIKeys APIKeys
	JWTs    *JWTs // nil = a JWT is looked up as an API key, which it never is
}

// Authenticate answers who asks, and the credential itself. Errors:
// keys.ErrUnauthenticated where there is no credential, keys.ErrBadCredential
// for any reason why there is a wrong one, *keys.InvalidError (an edge answers
// 400) where the request has several, *keys.BusyError (429) where the credential was
// not looked at because of many wrong ones, and keys.ErrUnavailable. Of a JWT also
// keys.ErrNoTenant where nothing names a tenant, and keys.ErrNotFound where the
// request names one that is unknown, or not the JWT's.
func (a Authenticator) Authenticate(r *http.Request) (keys.Principal, keys.Secret, error) {
	credential, err := Credential(r.Header)
	if err != nil {
		return keys.Principal{}, "", err
	}
	var p keys.Principal
	if a.JWTs != nil && len(r.Header["X-Api-Key"]) == 0 && looksLikeJWT(credential.Reveal()) {
		p, err = a.JWTs.authenticate(r, credential.Reveal())
	} else {
		p, err = a.APIKeys.Authenticate(keys.WithRemote(r.Context(), r.RemoteAddr), credential)
	}
	if err != nil {
		return keys.Principal{}, "", err
	}
	return p, credential, nil
}

// Credential reads the one credential of a request: Authorization: Bearer
// (RFC 6750, section 2.1; the scheme's case does not matter) or X-API-Key. The
// same one in both is fine; a header that is there twice is not. A query
// parameter is never one (RFC 6750, section 5.3).
func Credential(h http.Header) (keys.Secret, error) {
	authorization, err := single(h, "Authorization")
	if err != nil {
		return "", err
	}
	apiKey, err := single(h, "X-Api-Key")
	if err != nil {
		return "", err
	}
	_, hasAuthorization := h["Authorization"]
	_, hasAPIKey := h["X-Api-Key"]
	scheme, token, _ := strings.Cut(authorization, " ")
	token = strings.TrimLeft(token, " ")
	bearer := strings.EqualFold(scheme, "Bearer")
	switch {
	case !hasAuthorization && !hasAPIKey:
		return "", keys.ErrUnauthenticated
	case hasAuthorization && hasAPIKey && (!bearer || token != apiKey):
		return "", several("Authorization", "and X-API-Key hold different credentials: send one")
	case hasAuthorization && !bearer:
		return "", keys.ErrBadCredential
	case !hasAuthorization:
		token = apiKey
	}
	if token == "" || len(token) > maxCredential {
		return "", keys.ErrBadCredential
	}
	return keys.Secret(token), nil
}

func single(h http.Header, name string) (string, error) {
	values := h[name]
	if len(values) > 1 {
		return "", several(name, "is there more than once: send one credential")
	}
	if len(values) == 0 {
		return "", nil
	}
	return strings.TrimSpace(values[0]), nil
}

func several(header, problem string) error {
	return &keys.InvalidError{Fields: []policy.Problem{{Field: header, Problem: problem}}}
}
