package keys

import "context"

// Known is how many hosts it remembers.
func (l *HostLimit) Known() int { return len(l.hosts) }

// Sweep forgets what has expired, as Run does now and then.
func Sweep(ctx context.Context, s *Service) error { return s.sweep(ctx) }

// FlushTrail writes the entries that wait.
func FlushTrail(ctx context.Context, s *Service) error { return s.flushTrail(ctx) }

// KeyFields are the names of a key's fields in the audit trail, and whether a
// change of one can be taken back.
func KeyFields() map[string]bool {
	out := map[string]bool{}
	for name := range new(Key).fields() {
		out[name] = keyFields[name] != nil || policyFieldsRead[name] != nil
	}
	return out
}

// KeyAt is keyAt.
var KeyAt = keyAt

// FoldedKeys answer a key as a replay of the audit trail has it, as of any edit: of
// what decides alone.
func FoldedKeys(ctx context.Context, s *Service, tenantID, id string) (func(epoch int64) (Key, error), error) {
	r, err := readFold(ctx, s.cfg.Store, tenantID)
	return func(epoch int64) (Key, error) {
		var k foldedKey
		err := r.thing(ctx, foldID{"key", id}, epoch, &foldGrant{}, &k)
		return k.key(), err
	}, err
}
