package keystest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// The kinds of audit entry; see keys.AuditEntry.
const (
	kindDecision = "decision"
	kindCall     = "call"
	kindChange   = "change"
)

// stamp is a time as every store keeps it: UTC, to the microsecond.
func stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

func stampOrNil(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	at := stamp(*t)
	return &at
}

func cloneStrings(values []string) []string { return append([]string{}, values...) }

func cloneTenant(t keys.Tenant) keys.Tenant {
	t.JWTPolicy.ToolAllowlist = cloneStrings(t.JWTPolicy.ToolAllowlist)
	t.CreatedAt, t.UpdatedAt = stamp(t.CreatedAt), stamp(t.UpdatedAt)
	return t
}

func cloneProject(p keys.Project) keys.Project {
	p.CreatedAt, p.UpdatedAt = stamp(p.CreatedAt), stamp(p.UpdatedAt)
	return p
}

func cloneInstance(i keys.Instance) keys.Instance {
	i.Args = cloneStrings(i.Args)
	i.Tools = append([]keys.ToolRule{}, i.Tools...)
	if i.Sealed = bytes.Clone(i.Sealed); len(i.Sealed) == 0 {
		i.Sealed = nil
	}
	i.CreatedAt, i.UpdatedAt = stamp(i.CreatedAt), stamp(i.UpdatedAt)
	return i
}

func cloneDefinition(d keys.Definition) keys.Definition {
	d.Raw = append(json.RawMessage{}, d.Raw...)
	if d.Approved = bytes.Clone(d.Approved); len(d.Approved) == 0 {
		d.Approved = nil
	}
	d.SeenAt = stamp(d.SeenAt)
	return d
}

func clonePreset(p keys.Preset) keys.Preset {
	p.Permissions = cloneStrings(p.Permissions)
	p.CreatedAt, p.UpdatedAt = stamp(p.CreatedAt), stamp(p.UpdatedAt)
	return p
}

func cloneKey(k keys.Key) keys.Key {
	k.Tags, k.Permissions = cloneStrings(k.Tags), cloneStrings(k.Permissions)
	k.Policy = clonePolicy(k.Policy)
	if k.Shadow != nil {
		draft := clonePolicy(*k.Shadow)
		k.Shadow = &draft
	}
	k.ExpiresAt, k.LastUsedAt, k.RevokedAt = stampOrNil(k.ExpiresAt), stampOrNil(k.LastUsedAt), stampOrNil(k.RevokedAt)
	k.CreatedAt, k.UpdatedAt = stamp(k.CreatedAt), stamp(k.UpdatedAt)
	return k
}

func clonePolicy(p policy.Policy) policy.Policy {
	p.ToolAllowlist = cloneStrings(p.ToolAllowlist)
	rules := append([]policy.ArgumentRule{}, p.ArgumentRules...)
	for i := range rules {
		rules[i].Allow = cloneStrings(rules[i].Allow)
	}
	p.ArgumentRules = rules
	p.Approvals = append([]policy.ApprovalRule{}, p.Approvals...)
	p.Limits = append([]policy.RateLimit{}, p.Limits...)
	return p
}

func cloneSecret(s keys.KeySecret) keys.KeySecret {
	s.CreatedAt, s.ExpiresAt = stamp(s.CreatedAt), stampOrNil(s.ExpiresAt)
	return s
}

func cloneEntry(e keys.AuditEntry) keys.AuditEntry {
	e.Failed, e.Detail = cloneStrings(e.Failed), bytes.Clone(e.Detail)
	return e
}

func clean(text string) string {
	const mark = string(utf8.RuneError)
	return strings.ReplaceAll(strings.ToValidUTF8(text, mark), "\x00", mark)
}

func compareDefinitions(a, b keys.Definition) int {
	return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name))
}

func compareChanges(a, b keys.Change) int {
	return cmp.Or(cmp.Compare(a.Epoch, b.Epoch), strings.Compare(a.TenantID, b.TenantID),
		strings.Compare(string(a.Kind), string(b.Kind)), strings.Compare(a.ID, b.ID))
}

// sorted are the values of a map in an order.
func sorted[K comparable, V any](m map[K]V, keep func(V) bool, clone func(V) V, compare func(a, b V) int) []V {
	values := []V{}
	for _, v := range m {
		if keep(v) {
			values = append(values, clone(v))
		}
	}
	slices.SortFunc(values, compare)
	return values
}

// checkTexts refuses a value with a text that Postgres can't hold, and names
// the first such field as the wire does.
func checkTexts(value any) error {
	v := reflect.ValueOf(value).Elem()
	for i := range v.NumField() {
		field, name := v.Field(i), v.Type().Field(i)
		if field.Kind() == reflect.Struct && field.CanAddr() {
			switch inner := field.Addr().Interface().(type) {
			case *policy.Policy, *policy.Preset:
				if err := checkTexts(inner); err != nil {
					if name.Name == "JWTPolicy" { // one thing, in one column
						return unstorable("jwtPolicy")
					}
					return err
				}
			}
		}
		if slices.ContainsFunc(texts(field.Interface()), func(text string) bool { return clean(text) != text }) {
			return unstorable(wireName(name))
		}
	}
	return nil
}

func unstorable(field string) error {
	return &keys.InvalidError{Fields: []policy.Problem{{Field: field, Problem: "holds a character that can't be stored"}}}
}

func texts(field any) []string {
	switch field := field.(type) {
	case []string:
		return field
	case policy.Limit:
		return field.Values()
	case []policy.ArgumentRule:
		all := []string{}
		for _, rule := range field {
			all = append(append(all, rule.Tool, rule.Pointer), rule.Allow...)
		}
		return all
	case []policy.ApprovalRule:
		all := []string{}
		for _, rule := range field {
			all = append(all, rule.Tool)
		}
		return all
	case []policy.RateLimit:
		all := []string{}
		for _, rule := range field {
			all = append(all, rule.Tool, string(rule.Per))
		}
		return all
	case []keys.ToolRule:
		all := []string{}
		for _, rule := range field {
			all = append(all, rule.Match, rule.Category, rule.ProjectPointer)
		}
		return all
	}
	if v := reflect.ValueOf(field); v.Kind() == reflect.String {
		return []string{v.String()}
	}
	return nil
}

func wireName(field reflect.StructField) string {
	if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "" {
		return name
	}
	if field.Name == "URL" || field.Name == "ID" {
		return strings.ToLower(field.Name)
	}
	name := strings.ReplaceAll(field.Name, "ID", "Id")
	return strings.ToLower(name[:1]) + name[1:]
}
