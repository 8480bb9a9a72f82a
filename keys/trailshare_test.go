package keys_test

import (
	"errors"
	"testing"

	"github.com/bailiwick-mcp/bailiwick/keys"
)

// A tenant that floods the trail fills the disk up to a part of it: the rest is for
// those who bring less than their share, be it by calls or by what REST denies.
func TestOneTenantDoesNotFillTheSpool(t *testing.T) {
	for name, flood := range map[string]func(o *outage, n int) error{
		"calls": func(o *outage, n int) error {
			if err := o.svc.AuditRoom(o.ctx, o.op.TenantID()); err != nil {
				return err
			}
			return o.svc.Record(o.ctx, o.call(n))
		},
		"denials": func(o *outage, _ int) error {
			_, err := o.svc.AuditEvents(o.ctx, o.nobody, keys.AuditQuery{})
			if denied := (*keys.PermissionError)(nil); errors.As(err, &denied) {
				return nil
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOutage(t, 256<<10)
			o.nobody = o.as(keys.NewKey{Permissions: keys.Some([]string{"view:presets"})})
			other := func(n int) error {
				if err := o.svc.AuditRoom(o.ctx, "other"); err != nil {
					return err
				}
				e := o.call(n)
				e.TenantID = "other"
				return o.svc.Record(o.ctx, e)
			}
			o.store.SetDown(true)
			if err := other(0); err != nil {
				t.Fatal(err)
			}
			n := 0
			for ; ; n++ {
				if err := flood(o, n); errors.Is(err, keys.ErrAuditFull) {
					break
				} else if err != nil {
					t.Fatal(err)
				}
			}
			for i := range 50 {
				if err := other(i + 1); err != nil {
					t.Fatalf("call %d of another tenant, after %d of the flood: %v", i, n, err)
				}
			}
			o.store.SetDown(false)
			eventually(t, "there is room again for everybody", func() bool { return flood(o, n) == nil })
			o.eventually("all is written", written)
		})
	}
}
