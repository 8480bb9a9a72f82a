package bearer_test

import (
	"encoding/base64"
	"errors"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/bearer"
	"github.com/bailiwick-mcp/bailiwick/keys/bearer/bearertest"
)

func TestPermissionsOfAJWT(t *testing.T) {
	i := newInn(t)
	j := newInn(t, func(c *bearer.JWTConfig) { c.PermissionClaim, c.TenantClaim = "https://x.example/roles", "org" })
	for _, tt := range []struct {
		claim any
		want  []string
	}{
		{nil, nil},
		{"", nil},
		{"openid profile", nil},
		{"openid view:api-keys tenant.project:write api_keys:read *", []string{"view:api-keys", "manage:projects", "*"}},
		{[]string{"manage:tenants", "view:api-keys manage:api-keys", "audit:read"}, []string{"manage:tenants", "view:audit"}},
	} {
		p, err := i.ask(i.good(map[string]any{"scope": tt.claim}))
		if err != nil || !slices.Equal(p.Claims().Permissions, tt.want) {
			t.Errorf("%v: %v, %v", tt.claim, p.Claims().Permissions, err)
		}
	}
	p, err := j.ask(j.token(bearertest.Order{Claims: map[string]any{"org": "other", "https://x.example/roles": []string{"*"}, "scope": "view:tenants"}}))
	if err != nil || p.Tenant().Slug != "other" || !slices.Equal(p.Claims().Permissions, []string{"*"}) {
		t.Errorf("claims of other names: %+v, %v", p.Claims(), err)
	}
}

// TestTenantOfAJWT: the claim, or else the request, and never both apart.
func TestTenantOfAJWT(t *testing.T) {
	i := newInn(t)
	tests := []struct {
		claim   any
		headers []string // values of X-Org-Slug
		path    [2]string
		want    string // slug
		err     error
	}{
		{"default", nil, [2]string{}, "default", nil},
		{i.tenant.ID, nil, [2]string{}, "default", nil},
		{"default", []string{"default"}, [2]string{}, "default", nil},
		{"default", []string{i.tenant.ID}, [2]string{}, "default", nil},
		{"default", []string{"other"}, [2]string{}, "", keys.ErrNotFound},
		{"default", []string{"nowhere"}, [2]string{}, "", keys.ErrNotFound},
		{"default", nil, [2]string{"tenantId", "other"}, "", keys.ErrNotFound},
		{nil, nil, [2]string{}, "", keys.ErrNoTenant},
		{nil, []string{""}, [2]string{}, "", keys.ErrNoTenant},
		{nil, []string{"other"}, [2]string{}, "other", nil},
		{nil, []string{"nowhere"}, [2]string{}, "", keys.ErrNotFound},
		{nil, []string{"other", "default"}, [2]string{}, "", keys.ErrNotFound},
		{nil, nil, [2]string{"tenantId", "other"}, "other", nil},
		{nil, nil, [2]string{"orgID", i.tenant.ID}, "default", nil},
		{nil, []string{"default"}, [2]string{"orgID", "other"}, "", keys.ErrNotFound},
		{"nowhere", []string{"nowhere"}, [2]string{}, "", keys.ErrBadCredential},
	}
	for _, tt := range tests {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", "Bearer "+i.token(bearertest.Order{Claims: map[string]any{"tenant": tt.claim}}))
		for _, name := range tt.headers {
			r.Header.Add("X-Org-Slug", name)
		}
		if tt.path[0] != "" {
			r.SetPathValue(tt.path[0], tt.path[1])
		}
		p, _, err := i.auth.Authenticate(r)
		if p.Tenant().Slug != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("claim %v, headers %v, path %v: %q, %v; want %q, %v", tt.claim, tt.headers, tt.path, p.Tenant().Slug, err, tt.want, tt.err)
		}
	}
}

// TestWhatIsAJWT: by its form and place, and then nothing else.
func TestWhatIsAJWT(t *testing.T) {
	i := newInn(t)
	good := i.good(nil)
	b64 := base64.RawURLEncoding.EncodeToString
	for name, tt := range map[string]struct {
		headers []string
		apiKey  bool // that it was looked up as one
	}{
		"X-API-Key":            {[]string{"X-Api-Key", good}, true},
		"both":                 {[]string{"Authorization", "Bearer " + good, "X-Api-Key", good}, true},
		"one dot":              {[]string{"Authorization", "Bearer " + strings.Replace(good, ".", "", 1)}, true},
		"three dots":           {[]string{"Authorization", "Bearer " + good + "."}, true},
		"a header of no JSON":  {[]string{"Authorization", "Bearer abc.def.ghi"}, true},
		"a header without alg": {[]string{"Authorization", "Bearer " + b64([]byte(`{}`)) + ".e30.e30"}, true},
		"a header of a list":   {[]string{"Authorization", "Bearer " + b64([]byte(`["alg"]`)) + ".e30.e30"}, true},
		"nothing but alg":      {[]string{"Authorization", "Bearer " + b64([]byte(`{"alg":1}`)) + ".."}, false},
		"no claims":            {[]string{"Authorization", "Bearer " + b64([]byte(`{"alg":"RS256"}`)) + ".e30.e30"}, false},
		"duplicate alg":        {[]string{"Authorization", "Bearer " + b64([]byte(`{"alg":"RS256","alg":"none"}`)) + ".e30.e30"}, true},
		"cut":                  {[]string{"Authorization", "Bearer " + good[:len(good)-4]}, false},
		"padded":               {[]string{"Authorization", "Bearer " + good + "="}, false},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		for n := 0; n < len(tt.headers); n += 2 {
			r.Header.Set(tt.headers[n], tt.headers[n+1])
		}
		i.asked = nil
		if _, _, err := i.auth.Authenticate(r); !errors.Is(err, keys.ErrBadCredential) || (len(i.asked) > 0) != tt.apiKey {
			t.Errorf("%s: %v, looked up as API key: %t", name, err, len(i.asked) > 0)
		}
	}
	i.auth.JWTs = nil
	if _, err := i.ask(good); !errors.Is(err, keys.ErrBadCredential) || len(i.asked) == 0 {
		t.Errorf("without an issuer: %v", err)
	}
}
