package db_test

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/db"
	"github.com/bailiwick-mcp/bailiwick/keys"
)

// readAll is everything that a store reads, as JSON values.
func readAll(t *testing.T, d *db.DB) any {
	t.Helper()
	ctx := t.Context()
	all := map[string]any{}
	epoch, err1 := d.Epoch(ctx)
	changes, err2 := d.Changes(ctx, 0, 1000)
	replicas, err3 := d.Replicas(ctx)
	slices.SortFunc(replicas, func(a, b keys.Replica) int { return cmp.Compare(a.ID, b.ID) })
	all["epoch"], all["changes"], all["replicas"] = epoch, changes, replicas
	err4 := d.Read(ctx, func(r keys.Reader) error {
		tenants, err := r.Tenants(ctx)
		for _, tenant := range tenants {
			of, failed := readTenant(t, r, tenant)
			all["tenant "+tenant.Slug] = of
			err = errors.Join(err, failed)
		}
		logins, failed := r.ExpiredLogins(ctx, upgradeTime.AddDate(1, 0, 0))
		all["logins"] = logins
		return errors.Join(err, failed)
	})
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	var values any
	if err := json.Unmarshal(text, &values); err != nil {
		t.Fatal(err)
	}
	return short(values)
}

// short writes bytes that JSON has as a list of numbers as hexadecimal text.
func short(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for name := range value {
			value[name] = short(value[name])
		}
	case []any:
		var bytes []byte
		for i := range value {
			if n, ok := value[i].(float64); ok {
				bytes = append(bytes, byte(n))
			}
			value[i] = short(value[i])
		}
		if len(bytes) == sha256.Size {
			return hex.EncodeToString(bytes)
		}
	}
	return value
}

func readTenant(t *testing.T, r keys.Reader, tenant keys.Tenant) (map[string]any, error) {
	ctx, id := t.Context(), tenant.ID
	projects, err1 := r.Projects(ctx, id)
	instances, err2 := r.Instances(ctx, id)
	presets, err3 := r.Presets(ctx, id)
	list, total, err4 := r.Keys(ctx, id, keys.KeyQuery{IncludeRevoked: true})
	audit, err5 := r.Audit(ctx, id, keys.AuditQuery{Limit: 200})
	of := map[string]any{"tenant": tenant, "projects": projects, "instances": instances, "presets": presets,
		"keys": list, "total": total, "audit": audit}
	errs := []error{err1, err2, err3, err4, err5}
	for _, i := range instances {
		definitions, err1 := r.Definitions(ctx, id, i.ID)
		pins, err2 := r.Pins(ctx, id, i.ID)
		of["definitions "+i.Slug], of["pins "+i.Slug] = definitions, pins
		errs = append(errs, err1, err2)
	}
	for _, k := range list {
		secrets, err := r.Secrets(ctx, id, k.ID)
		of["secrets "+k.ID] = secrets
		errs = append(errs, err)
	}
	return of, errors.Join(errs...)
}
