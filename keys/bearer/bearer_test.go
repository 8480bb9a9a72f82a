package bearer_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/bearer"
)

var errSeveral = errors.New("*keys.InvalidError")

func TestCredential(t *testing.T) {
	const a, b = "bwk_live_a", "bwk_live_b"
	tests := []struct {
		name    string
		headers []string // name, value, ...
		want    string
		err     error
	}{
		{"none", nil, "", keys.ErrUnauthenticated},
		{"bearer", []string{"Authorization", "Bearer " + a}, a, nil},
		{"scheme in any case", []string{"authorization", "bEARER " + a}, a, nil},
		{"more spaces", []string{"Authorization", "  Bearer   " + a + " "}, a, nil},
		{"api key", []string{"X-API-Key", a}, a, nil},
		{"api key, other case", []string{"x-api-KEY", " " + a + " "}, a, nil},
		{"both the same", []string{"Authorization", "Bearer " + a, "X-API-Key", a}, a, nil},
		{"both, different", []string{"Authorization", "Bearer " + a, "X-API-Key", b}, "", errSeveral},
		{"both, one empty", []string{"Authorization", "Bearer " + a, "X-API-Key", ""}, "", errSeveral},
		{"both, other one empty", []string{"Authorization", "Bearer", "X-API-Key", a}, "", errSeveral},
		{"basic beside a key", []string{"Authorization", "Basic " + a, "X-API-Key", a}, "", errSeveral},
		{"twice", []string{"Authorization", "Bearer " + a, "Authorization", "Bearer " + a}, "", errSeveral},
		{"twice, api key", []string{"X-API-Key", a, "x-api-key", b}, "", errSeveral},
		{"basic", []string{"Authorization", "Basic " + a}, "", keys.ErrBadCredential},
		{"no scheme", []string{"Authorization", a}, "", keys.ErrBadCredential},
		{"empty bearer", []string{"Authorization", "Bearer "}, "", keys.ErrBadCredential},
		{"empty authorization", []string{"Authorization", ""}, "", keys.ErrBadCredential},
		{"empty api key", []string{"X-API-Key", ""}, "", keys.ErrBadCredential},
		{"huge", []string{"X-API-Key", strings.Repeat("a", 9<<10)}, "", keys.ErrBadCredential},
		{"a scheme within", []string{"Authorization", "Bearer Bearer " + a}, "Bearer " + a, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := http.Header{}
			for i := 0; i < len(tt.headers); i += 2 {
				h.Add(tt.headers[i], tt.headers[i+1])
			}
			got, err := bearer.Credential(h)
			if got.Reveal() != tt.want {
				t.Errorf("credential = %q, want %q", got.Reveal(), tt.want)
			}
			var several *keys.InvalidError
			switch {
			case tt.err == errSeveral && !errors.As(err, &several), tt.err != errSeveral && !errors.Is(err, tt.err):
				t.Errorf("err = %v, want %v", err, tt.err)
			case err != nil && (strings.Contains(err.Error(), a) || strings.Contains(err.Error(), b)):
				t.Errorf("err quotes the credential: %v", err)
			}
		})
	}
}

// door knows one token and remembers what it was asked.
type door struct {
	known keys.Secret
	asked []string
	err   error
}

func (d *door) Authenticate(_ context.Context, token keys.Secret) (keys.Principal, error) {
	d.asked = append(d.asked, token.Reveal())
	if token != d.known {
		return keys.Principal{}, keys.ErrBadCredential
	}
	return keys.Principal{}, d.err
}

func TestAuthenticate(t *testing.T) {
	d := &door{known: "good"}
	a := bearer.Authenticator{APIKeys: d}
	r := httptest.NewRequest("GET", "/?access_token=good&key=good", nil)
	if _, _, err := a.Authenticate(r); !errors.Is(err, keys.ErrUnauthenticated) || len(d.asked) != 0 {
		t.Errorf("a query parameter is no credential: err = %v, asked %v", err, d.asked)
	}
	r.Header.Set("X-API-Key", "bad")
	if _, secret, err := a.Authenticate(r); !errors.Is(err, keys.ErrBadCredential) || secret != "" {
		t.Errorf("bad: %v", err)
	}
	r.Header.Set("X-API-Key", "good")
	if _, secret, err := a.Authenticate(r); err != nil || secret.Reveal() != "good" {
		t.Errorf("good: %v", err)
	}
	d.err = keys.ErrUnavailable
	if _, _, err := a.Authenticate(r); !errors.Is(err, keys.ErrUnavailable) {
		t.Errorf("store down: %v", err)
	}
}
