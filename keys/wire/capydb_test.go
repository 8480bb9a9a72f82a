package wire_test

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
)

// The fields that the document of the shape names: these, and no others.
func TestOrganizationKeyHasTheDocumentedFields(t *testing.T) {
	want := strings.Fields(`created_at created_by_user_id device_name expires_at id is_active key_prefix last_used_at name
		organization_id project_id revoked_at scopes source`)
	got := slices.Sorted(maps.Keys(object(t, wire.OrganizationKeyOf(keys.Key{}, time.Now()))))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
	if got := object(t, wire.OrganizationKeyListOf(nil, time.Now())); !reflect.DeepEqual(got["api_keys"], []any{}) {
		t.Errorf("no keys at all are %v", got)
	}
}

func TestCreatedByUserIsAPerson(t *testing.T) {
	for actor, want := range map[string]any{
		"": nil, "operator": nil, "0197c1de-7a10-7c3e-9b1f-2f4f5a6b7c8d": nil, "jwt": nil, "jwt:alice@example.com": "jwt:alice@example.com",
	} {
		if got := object(t, wire.OrganizationKeyOf(keys.Key{CreatedBy: actor}, time.Now()))["created_by_user_id"]; got != want {
			t.Errorf("%q: %v, want %v", actor, got, want)
		}
	}
}

func TestIsActive(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	later := now.Add(time.Microsecond)
	for name, tt := range map[string]struct {
		key  keys.Key
		want bool
	}{
		"enabled":                 {keys.Key{Enabled: true}, true},
		"disabled":                {keys.Key{}, false},
		"revoked":                 {keys.Key{Enabled: true, RevokedAt: &now}, false},
		"expiring later":          {keys.Key{Enabled: true, ExpiresAt: &later}, true},
		"expiring now":            {keys.Key{Enabled: true, ExpiresAt: &now}, false},
		"disabled, expires later": {keys.Key{ExpiresAt: &later}, false},
	} {
		if got := wire.OrganizationKeyOf(tt.key, now).IsActive; got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// What is found fault with in a long list stays readable.
func TestFaultsOfALongList(t *testing.T) {
	scopes := make([]string, 5000)
	for i := range scopes {
		scopes[i] = strings.Repeat("x", 5000)
	}
	_, err := wire.CreateOrganizationKey{Scopes: keys.Some(scopes)}.NewKey("api")
	invalid, ok := err.(*keys.InvalidError)
	if !ok || len(invalid.Fields) != 10 || len(invalid.Fields[0].Problem) > 400 {
		t.Errorf("%.1000v", err)
	}
}

// The generator of the document reads these tags of each field.
func TestFieldsAreDocumented(t *testing.T) {
	for _, v := range []any{wire.KeyDefinition{}, wire.IssuedKeyDefinition{}, wire.CreateKeyDefinition{}, wire.ReplaceKeyDefinition{},
		wire.OrganizationKey{}, wire.CreateOrganizationKey{}, wire.OrganizationKeyList{}, wire.IssuedOrganizationKey{}, wire.Revoked{},
		wire.Fault{}, wire.Me{}, wire.MeOrganization{}, wire.MePrincipal{},
		wire.StartLogin{}, wire.LoginStarted{}, wire.LoginPolled{}, wire.LoginApproval{}, wire.ApproveLogin{}, wire.LoginDecided{}} {
		for f := range reflect.TypeOf(v).Fields() {
			inner := f.Type
			if inner.Kind() == reflect.Slice || inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			composed := strings.HasSuffix(inner.PkgPath(), "/keys/wire") // whose parts have examples
			if !f.Anonymous && (f.Tag.Get("json") == "" || f.Tag.Get("doc") == "" || !composed && f.Tag.Get("example") == "") {
				t.Errorf("%T.%s has the tags %s", v, f.Name, f.Tag)
			}
		}
	}
}
