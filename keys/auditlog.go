package keys

import "context"

const viewAudit = "view:audit"

// AuditEvents lists audit entries, newest first. It needs view:audit.
func (s *Service) AuditEvents(ctx context.Context, p Principal, q AuditQuery) (list []AuditEntry, err error) {
	var f faults
	f.time("since", q.Since)
	if err := f.err(); err != nil {
		return nil, err
	}
	err = s.read(ctx, p, operation{"audit.list", viewAudit}, func(r Reader) error {
		list, err = r.Audit(ctx, p.TenantID(), q)
		return err
	})
	return list, err
}
