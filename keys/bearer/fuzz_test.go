package bearer_test

import (
	"encoding/base64"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/bearer/bearertest"
)

// FuzzCredential: whatever the headers hold, nobody gets in but with what was
// issued, and nothing panics.
func FuzzCredential(f *testing.F) {
	i := newInn(f)
	good := i.good(nil)
	f.Add("Bearer "+good, "", "", "")
	f.Add("Bearer "+i.key, i.key, "default", "")
	f.Add("Bearer a.b.c", "", "other", "nowhere")
	f.Add("Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.", "", "", "default")
	f.Fuzz(func(t *testing.T, authorization, apiKey, slug, path string) {
		r := httptest.NewRequest("GET", "/", nil)
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		if apiKey != "" {
			r.Header.Set("X-API-Key", apiKey)
		}
		r.Header.Set("X-Org-Slug", slug)
		r.SetPathValue("tenantId", path)
		p, secret, err := i.auth.Authenticate(r)
		if err != nil {
			if p.Valid() || secret != "" {
				t.Errorf("%v beside a principal", err)
			}
			var several *keys.InvalidError
			if !errors.Is(err, keys.ErrBadCredential) && !errors.Is(err, keys.ErrUnauthenticated) && !errors.Is(err, keys.ErrNotFound) && !errors.As(err, &several) {
				t.Errorf("an error that no edge knows: %v", err)
			}
			return
		}
		if token := secret.Reveal(); token != good && token != i.key {
			t.Errorf("%q authenticates", token)
		}
	})
}

// FuzzJWT: of a good token, whatever takes the place of its header, its claims
// and its signature, no other token counts.
func FuzzJWT(f *testing.F) {
	i := newInn(f)
	good := i.token(bearertest.Order{Alg: "EdDSA", Claims: map[string]any{"tenant": "default"}})
	part := func(n int) string { return strings.Split(good, ".")[n] }
	decoded := func(n int) string {
		data, err := base64.RawURLEncoding.DecodeString(part(n))
		i.must(err)
		return string(data)
	}
	for _, seed := range [][3]string{
		{decoded(0), decoded(1), decoded(2)},
		{`{"alg":"none"}`, decoded(1), ""},
		{`{"alg":"HS256","kid":"ed-1"}`, decoded(1), decoded(2)},
		{`{"alg":"EdDSA","crit":["x"]}`, decoded(1), decoded(2)},
		{`{"alg":"RS256","jwk":{"kty":"RSA","n":"AQ","e":"AQ"}}`, `{"iss":1,"aud":null,"exp":1e999}`, "x"},
		{`{"alg":"EdDSA","x5c":[1],"kid":null,"typ":"/"}`, `{"exp":-0,"nbf":{}}`, ""},
		{decoded(0), strings.Replace(decoded(1), "alice", "mallory", 1), decoded(2)},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	b64 := base64.RawURLEncoding.EncodeToString
	f.Fuzz(func(t *testing.T, header, claims, signature string) {
		token := b64([]byte(header)) + "." + b64([]byte(claims)) + "." + b64([]byte(signature))
		p, err := i.ask(token)
		if token != good && (err == nil || p.Valid()) {
			t.Errorf("%s %s counts", header, claims)
		}
	})
}
