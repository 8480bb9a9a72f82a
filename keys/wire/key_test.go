package wire_test

import (
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/keys/wire"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

func object(t *testing.T, v any) map[string]any {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// The fields that the documented shape names, and ours beside them.
var keyFields = strings.Fields(`id name prefix scope permissions createdAt lastUsedAt expiresAt mcpActive
	mcpAllowlistMode mcpInstanceIds mcpPermissions mcpPreset mcpProjectIds mcpReadOnly mcpReconnectRequired
	mcpReconnectRequiredMessage mcpToolAllowlist mcpArgumentRules mcpApprovals mcpLimits mcpShadow
	handle description tags enabled projectId parentKeyId source deviceName createdBy updatedAt revokedAt
	revokedBy revokeReason version`)

func TestKeyHasEveryFieldAlways(t *testing.T) {
	got := slices.Sorted(maps.Keys(object(t, wire.KeyOf(keys.Key{}))))
	slices.Sort(keyFields)
	if diff := cmp.Diff(keyFields, got); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}

func TestKeyNullAndEmptyListsStayDifferent(t *testing.T) {
	tests := []struct {
		name  string
		limit policy.Limit
		want  any
	}{
		{"null", policy.Unlimited(), nil},
		{"empty", policy.Only(), []any{}},
		{"zero value", policy.Limit{}, []any{}},
		{"one", policy.Only("a"), []any{"a"}},
	}
	for _, tt := range tests {
		k := keys.Key{Policy: policy.Policy{Permissions: tt.limit, ProjectIDs: tt.limit, InstanceIDs: tt.limit}}
		got := object(t, wire.KeyOf(k))
		for _, field := range []string{"mcpPermissions", "mcpProjectIds", "mcpInstanceIds"} {
			if !reflect.DeepEqual(got[field], tt.want) {
				t.Errorf("%s: %s = %#v, want %#v", tt.name, field, got[field], tt.want)
			}
		}
		for _, field := range []string{"permissions", "tags", "mcpToolAllowlist"} {
			if !reflect.DeepEqual(got[field], []any{}) {
				t.Errorf("%s of a nil slice = %#v, want []", field, got[field])
			}
		}
	}
}

func TestPlaintextIsInIssuedAlone(t *testing.T) {
	issued := keys.Issued{Key: keys.Key{ID: "k1"}, Secret: "bwk_live_canary"}
	if got := object(t, wire.IssuedOf(issued, keys.Propagation{})); got["key"] != "bwk_live_canary" || got["id"] != "k1" {
		t.Errorf("issued = %v", got)
	}
	data, _ := json.Marshal(wire.KeyOf(issued.Key))
	if strings.Contains(string(data), "canary") {
		t.Error("the plaintext is in the key")
	}
}

func decode[T any](t *testing.T, body string) T {
	t.Helper()
	var v T
	if err := policy.UnmarshalStrict([]byte(body), &v); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return v
}

func TestCreateKey(t *testing.T) {
	at := time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		name, body string
		want       keys.NewKey
	}{
		{"nothing", `{}`, keys.NewKey{}},
		{"name", `{"name":"a"}`, keys.NewKey{Name: "a"}},
		{"nulls", `{"name":null,"handle":null,"projectId":null,"parentKeyId":null,"expiresAt":null}`, keys.NewKey{ExpiresWithParent: true}},
		{"scope", `{"scope":"mcp_only"}`, keys.NewKey{Scope: keys.Some(policy.ScopeMCPOnly)}},
		{"an unknown scope is the service's to refuse", `{"scope":"x"}`, keys.NewKey{Scope: keys.Some(policy.Scope("x"))}},
		{"expiry", `{"expiresAt":"2030-01-31T12:00:00Z"}`, keys.NewKey{ExpiresAt: &at}},
		{"lower-case expiry", `{"expiresAt":"2030-01-31t12:00:00z"}`, keys.NewKey{ExpiresAt: &at}},
		{"no limit", `{"mcpProjectIds":null}`, keys.NewKey{PolicyPatch: keys.PolicyPatch{
			MCPProjectIDs: keys.Opt[policy.Limit]{Set: true, Null: true, Value: policy.Unlimited()}}}},
		{"nothing reached", `{"mcpProjectIds":[]}`, keys.NewKey{PolicyPatch: keys.PolicyPatch{
			MCPProjectIDs: keys.Some(policy.Only())}}},
		{"false is a value", `{"mcpReadOnly":false,"enabled":false}`, keys.NewKey{Enabled: keys.Some(false),
			PolicyPatch: keys.PolicyPatch{MCPReadOnly: keys.Some(false)}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.want.Source = "api"
			got, err := decode[wire.CreateKey](t, tt.body).NewKey("api")
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestBadValuesNameTheirField(t *testing.T) {
	newKey := func(body string) error {
		_, err := decode[wire.CreateKey](t, body).NewKey("api")
		return err
	}
	instance := func(body string) error {
		_, err := decode[wire.WriteInstance](t, body).Spec("api", 0)
		return err
	}
	preset := func(body string) error {
		_, err := decode[wire.WritePreset](t, body).NewPreset()
		return err
	}
	grace := func(body string) error {
		_, err := decode[wire.RotateKey](t, body).Grace()
		return err
	}
	tests := []struct {
		field string
		err   error
	}{
		{"expiresAt", newKey(`{"expiresAt":"tomorrow"}`)},
		{"expiresAt", newKey(`{"expiresAt":""}`)},
		{"expiresAt", newKey(`{"expiresAt":"2030-01-31"}`)},
		{"tools[1].effect", instance(`{"tools":[{"match":"a"},{"match":"b","effect":"harmless"}]}`)},
		{"permissions", preset(`{"name":"p","maxEffect":"read"}`)},
		{"permissions", preset(`{"name":"p","maxEffect":"read","permissions":null}`)},
		{"maxEffect", preset(`{"name":"p","permissions":[]}`)},
		{"graceSeconds", grace(`{"graceSeconds":-1}`)},
		{"graceSeconds", grace(`{"graceSeconds":2592001}`)},
		{"graceSeconds", grace(`{"graceSeconds":9223372036854775807}`)},
	}
	for _, tt := range tests {
		var wrong *keys.InvalidError
		if !errors.As(tt.err, &wrong) || wrong.Fields[0].Field != tt.field {
			t.Errorf("%s: got error %v", tt.field, tt.err)
		}
	}
	if err := grace(`{"graceSeconds":2592000}`); err != nil {
		t.Errorf("30 days: %v", err)
	}
}

func TestBodiesRefuseWhatTheyDoNotKnow(t *testing.T) {
	for _, body := range []string{
		`{"scope":"full"}`, `{"expiresAt":null}`, `{"Name":"x"}`, `{"name":"a","name":"b"}`,
		`{"mcpPermissions":[null]}`, `{"mcpActive":"yes"}`, `{"id":"x"}`, `{} {}`, `[]`, `null`, ``,
	} {
		var u wire.UpdateKey
		if err := policy.UnmarshalStrict([]byte(body), &u); err == nil {
			t.Errorf("%s was accepted", body)
		}
	}
}

func TestInstanceNeverShowsCredentials(t *testing.T) {
	got := object(t, wire.InstanceOf(keys.Instance{Slug: "a", Sealed: []byte("sealed")}))
	if got["hasCredentials"] != true {
		t.Errorf("hasCredentials = %v", got["hasCredentials"])
	}
	for _, field := range []string{"env", "headers", "sealed"} {
		if _, there := got[field]; there {
			t.Errorf("%s is in the answer", field)
		}
	}
}

func TestAuditPageEndsWithNull(t *testing.T) {
	entries := []keys.AuditEntry{{ID: "c"}, {ID: "b"}, {ID: "a"}}
	if page := wire.AuditPageOf(entries, 2); page.Next == nil || *page.Next != "b" || len(page.Events) != 2 {
		t.Errorf("a full page = %+v", page)
	}
	if page := wire.AuditPageOf(entries, 3); page.Next != nil || len(page.Events) != 3 {
		t.Errorf("the last page = %+v", page)
	}
}

// What a request type is written as is read again as the same: absent, null and
// empty stay different.
func TestRequestsAreWrittenAsTheyAreRead(t *testing.T) {
	body := wire.CreateKey{Name: keys.Some("<x>"), Tags: keys.Some([]string{}), Handle: keys.Null[string](), Enabled: keys.Some(false),
		PolicyFields: wire.PolicyFields{MCPReadOnly: keys.Some(true), MCPPermissions: keys.Null[policy.Limit](), MCPProjectIDs: keys.Some(policy.Only()),
			MCPInstanceIDs: keys.Some(policy.Only("i")), MCPAllowlistMode: keys.Some(policy.ModeDeny), MCPToolAllowlist: keys.Some([]string{"a,b"})}}
	sent, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	var got wire.CreateKey
	if err := policy.UnmarshalStrict(sent, &got); err != nil {
		t.Fatalf("%v: %s", err, sent)
	}
	if !reflect.DeepEqual(body, got) {
		t.Errorf("%+v\nwant\n%+v", got, body)
	}
	for _, nothing := range []any{wire.CreateKey{}, wire.UpdateKey{}, wire.RotateKey{}, wire.RevokeKey{}} {
		if sent, err := json.Marshal(nothing); string(sent) != "{}" {
			t.Errorf("%T: %s, %v", nothing, sent, err)
		}
	}
}
