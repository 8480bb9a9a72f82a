package wire_test

import (
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// Every permission has three spellings, which all read back as the one.
func TestPermissionSpellings(t *testing.T) {
	for _, known := range policy.KnownPermissions() {
		seen := map[string]bool{}
		for _, spelling := range []wire.Spelling{wire.SpellingPrimary, wire.SpellingWalletcrew, wire.SpellingCapydb} {
			text := spelling.Spell(known)
			if back, ok := wire.Permission(text); !ok || back != known {
				t.Errorf("%s is spelled %s, which reads as %q, %t", known, text, back, ok)
			}
			seen[text] = true
		}
		if want := 3; known != "*" && len(seen) != want {
			t.Errorf("%s has %d spellings, want %d: %v", known, len(seen), want, seen)
		}
	}
	for text, want := range map[string]string{
		"tenant.apiKey:read": "view:api-keys", "api_keys:write": "manage:api-keys", "view:api-keys": "view:api-keys",
	} {
		if got, ok := wire.Permission(text); !ok || got != want {
			t.Errorf("%s reads as %q, %t; want %s", text, got, ok, want)
		}
	}
	for _, text := range []string{"", ":", "api_keys", "api_keys:", "api_keys:manage", "api-keys:read", "view:apiKey",
		"tenant.apikey:read", "tenant.*:read", "*:read", "API_KEYS:read", "api_keys:read ", "admin"} {
		if got, ok := wire.Permission(text); ok {
			t.Errorf("%q reads as %s, and is none", text, got)
		}
	}
}

func TestLongPermissionRepeatsNoToken(t *testing.T) {
	token, err := keys.NewToken(rand.Reader, keys.DefaultTokenPrefix)
	if err != nil {
		t.Fatal(err)
	}
	body := wire.CreateOrganizationKey{Name: keys.Some("a"), Scopes: keys.Some([]string{"twelve more " + token.Reveal()})}
	var invalid *keys.InvalidError
	if _, err := body.NewKey("api"); !errors.As(err, &invalid) || strings.Contains(err.Error(), token.Reveal()[13:25]) {
		t.Errorf("%v", err)
	}
}
