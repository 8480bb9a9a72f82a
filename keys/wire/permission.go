package wire

import (
	"slices"
	"strings"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// Spelling is how one of the three shapes writes a permission. Inside there is
// one grammar, the primary shape's; * is the same in all.
type Spelling int

// The spellings of view:api-keys and manage:api-keys.
const (
	SpellingPrimary    Spelling = iota // view:api-keys, manage:api-keys
	SpellingWalletcrew                 // tenant.apiKey:read, tenant.apiKey:write
	SpellingCapydb                     // api_keys:read, api_keys:write
)

// spelled has one row for each resource of policy, by spelling.
var spelled = [][3]string{
	{"api-keys", "tenant.apiKey", "api_keys"},
	{"projects", "tenant.project", "projects"},
	{"instances", "tenant.instance", "instances"},
	{"presets", "tenant.preset", "presets"},
	{"audit", "tenant.audit", "audit"},
	{"approvals", "tenant.approval", "approvals"},
	{"tenant", "tenant.tenant", "tenant"},
	{"tenants", "platform.tenant", "tenants"},
}

// Permission reads a permission in any of the three spellings and answers it
// in the primary one; false for what is none in any.
func Permission(text string) (string, bool) {
	if _, err := policy.ParsePermission(text); err == nil {
		return text, true
	}
	resource, verb, _ := strings.Cut(text, ":")
	primary := map[string]string{"read": "view:", "write": "manage:"}[verb]
	at := slices.IndexFunc(spelled, func(row [3]string) bool { return slices.Contains(row[1:], resource) })
	if primary == "" || at < 0 {
		return "", false
	}
	return primary + spelled[at][SpellingPrimary], true
}

// Spell writes a permission of the primary spelling in another one. What is no
// permission stays as it is.
func (s Spelling) Spell(permission string) string {
	verb, resource, _ := strings.Cut(permission, ":")
	other := map[string]string{"view": ":read", "manage": ":write"}[verb]
	at := slices.IndexFunc(spelled, func(row [3]string) bool { return row[SpellingPrimary] == resource })
	if s == SpellingPrimary || other == "" || at < 0 {
		return permission
	}
	return spelled[at][s] + other
}
