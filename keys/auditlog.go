package keys

import "context"

const viewAudit = "view:audit"

// AuditEvents lists audit entries. It needs view:audit.
func (s *Service) AuditEvents(ctx context.Context, p Principal, q AuditQuery) (list []AuditEntry, err error) {
	var f faults
	f.time("since", q.Since)
	if !q.Until.IsZero() {
		f.time("until", q.Until)
	}
	if err := f.err(); err != nil {
		return nil, err
	}
	err = s.read(ctx, p, operation{"audit.list", viewAudit}, func(r Reader) error {
		list, err = r.Audit(ctx, p.TenantID(), q)
		return err
	})
	return list, err
}

// DecisionByRef answers the denial that carried the reference. It needs
// view:audit.
func (s *Service) DecisionByRef(ctx context.Context, p Principal, ref string) (entry AuditEntry, err error) {
	err = s.read(ctx, p, operation{"audit.get", viewAudit}, func(r Reader) error {
		found, err := r.Audit(ctx, p.TenantID(), AuditQuery{Ref: ref, Limit: 1})
		if err != nil {
			return err
		}
		if ref == "" || len(found) == 0 {
			return ErrNotFound
		}
		entry = found[0]
		return nil
	})
	return entry, err
}
