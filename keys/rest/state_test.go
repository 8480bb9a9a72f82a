package rest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/bailiwick-mcp/bailiwick/keys"
	"github.com/bailiwick-mcp/bailiwick/policy"
)

// line is one field of a thing as it is stored.
type line struct{ name, value string }

// fieldsOf are all fields of a stored thing, whatever shape wrote it. What is
// sealed shows only that it is there.
func fieldsOf(v any) []line {
	var out []line
	value := reflect.ValueOf(v)
	for i := range value.NumField() {
		name, field := value.Type().Field(i).Name, value.Field(i).Interface()
		if tag := value.Type().Field(i).Tag.Get("json"); tag != "" {
			name = tag // within a policy, whose names would be the key's too
		}
		switch f := field.(type) {
		case policy.Policy, policy.Preset:
			out = append(out, fieldsOf(f)...)
			continue
		case []byte:
			field = map[bool]string{true: "there", false: "none"}[len(f) > 0]
		}
		text, err := json.Marshal(field)
		if err != nil {
			panic(err)
		}
		out = append(out, line{name, string(text)})
	}
	return out
}

// state is what was stored, changed and recorded since the site was made, of
// every tenant.
func (s *site) state() string {
	s.t.Helper()
	text, err := stateOf(s.ctx, s.store, s.began)
	s.must(err)
	return text
}

// stateOf is everything that a store holds and that came after an epoch.
func stateOf(ctx context.Context, store keys.Store, began int64) (string, error) {
	var b strings.Builder
	err := store.Read(ctx, func(r keys.Reader) error {
		b.Reset()
		tenants, err := r.Tenants(ctx)
		for _, t := range tenants {
			if err := tenantState(ctx, r, &b, began, t); err != nil {
				return err
			}
		}
		return err
	})
	if b.Len() == 0 {
		return "nothing\n", err
	}
	return b.String(), err
}

func tenantState(ctx context.Context, r keys.Reader, b *strings.Builder, began int64, t keys.Tenant) error {
	put := func(kind string, version int64, v any, more ...line) {
		if version <= began {
			return
		}
		fmt.Fprintf(b, "%s of %s\n", kind, t.Slug)
		for _, l := range append(fieldsOf(v), more...) {
			fmt.Fprintf(b, "    %s: %s\n", l.name, l.value)
		}
	}
	put("tenant", t.Version, t)
	projects, err := r.Projects(ctx, t.ID)
	for _, p := range projects {
		put("project", p.Version, p)
	}
	instances, instancesErr := r.Instances(ctx, t.ID)
	for _, i := range instances {
		pins, err := pinsText(ctx, r, i)
		if err != nil {
			return err
		}
		put("instance", i.Version, i, pins...)
	}
	presets, presetsErr := r.Presets(ctx, t.ID)
	for _, p := range presets {
		put("preset", p.Version, p)
	}
	all, _, keysErr := r.Keys(ctx, t.ID, keys.KeyQuery{IncludeRevoked: true})
	for _, k := range all {
		secrets, err := r.Secrets(ctx, t.ID, k.ID)
		if err != nil {
			return err
		}
		put("key", k.Version, k, line{"secrets", secretsText(secrets)})
	}
	entries, auditErr := r.Audit(ctx, t.ID, keys.AuditQuery{Limit: 1000})
	slices.Reverse(entries)
	for _, e := range entries {
		if e.Kind == "change" && e.Epoch <= began {
			continue
		}
		fmt.Fprintf(b, "%s of %s: %s %s\n    by %s on %s%s\n", e.Kind, t.Slug, e.Action, e.Decision, e.Actor, text(e.Subject), detailText(e))
	}
	return errors.Join(err, instancesErr, presetsErr, keysErr, auditErr)
}

// pinsText says of each tool that is announced whether it is approved; an
// instance that has announced none has no line.
func pinsText(ctx context.Context, r keys.Reader, i keys.Instance) ([]line, error) {
	defs, err := r.Definitions(ctx, i.TenantID, i.ID)
	var out []line
	for _, d := range defs {
		out = append(out, line{"tool " + d.Name, map[bool]string{false: "approved", true: "waits for approval"}[d.Quarantined()]})
	}
	return out, err
}

func text(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

func secretsText(secrets []keys.KeySecret) string {
	ends := []string{}
	for _, s := range secrets {
		if s.ExpiresAt == nil {
			ends = append(ends, "with the key")
		} else {
			ends = append(ends, "at "+s.ExpiresAt.Format("2006-01-02T15:04:05Z"))
		}
	}
	return fmt.Sprintf("%d, ending %s", len(secrets), strings.Join(ends, ", "))
}

// detailText is what a change changed, by name, and why a decision was one.
func detailText(e keys.AuditEntry) string {
	var out strings.Builder
	if len(e.Failed) > 0 {
		out.WriteString(", failed " + strings.Join(e.Failed, " "))
	}
	var detail map[string]any
	if len(e.Detail) == 0 || json.Unmarshal(e.Detail, &detail) != nil {
		return out.String()
	}
	names := map[string]bool{}
	for _, side := range []string{"before", "after"} {
		fields, _ := detail[side].(map[string]any)
		for name := range fields {
			names[name] = true
		}
	}
	if needed, ok := detail["needed"].(string); ok && needed != "" {
		names[needed] = true
	}
	sorted := []string{}
	for name := range names {
		sorted = append(sorted, name)
	}
	slices.Sort(sorted)
	if len(sorted) > 0 {
		out.WriteString(": " + strings.Join(sorted, " "))
	}
	return out.String()
}
