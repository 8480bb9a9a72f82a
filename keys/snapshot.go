package keys

import (
	"context"
	"time"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// snapshot is what a principal finds at one moment, with its rights as they stand
// there. It holds a request to them and can't write.
type snapshot struct {
	Reader
	svc    *Service
	who    Principal
	layers []policy.Subject // of the key and its ancestors, or the subject: what it may hand on; nil for the operator
	now    time.Time
}

// review holds a request to what an edit is held to, and runs fn over one
// snapshot in place of a transaction: nothing can be written.
func (s *Service) review(ctx context.Context, p Principal, op operation, fn func(*snapshot) error) error {
	if err := s.allow(p, op.needs); err != nil {
		return s.refuse(ctx, p, op, err)
	}
	err := s.cfg.Store.Read(ctx, func(r Reader) error {
		e := &snapshot{Reader: r, svc: s, now: s.now()}
		if err := e.admit(ctx, p, op); err != nil {
			return err
		}
		return fn(e)
	})
	if err != nil {
		return s.refuse(ctx, p, op, err)
	}
	return nil
}

// admit reads the principal's rights and asks them for the permission.
func (e *snapshot) admit(ctx context.Context, p Principal, op operation) error {
	if err := e.as(ctx, p); err != nil {
		return err
	}
	return e.svc.allow(e.who, op.needs)
}
