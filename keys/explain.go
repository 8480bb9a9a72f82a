package keys

import (
	"context"

	"github.com/bailiwick-mcp/bailiwick/policy"
)

// Grant answers a key (by id, or else by handle) and its compiled policy as it
// stands now, ancestors included, for explaining what it may do; revoked and
// expired keys too. It needs view:audit.
func (s *Service) Grant(ctx context.Context, p Principal, idOrHandle string) (key Key, grant *policy.Grant, err error) {
	err = s.read(ctx, p, operation{"key.explain", viewAudit}, func(r Reader) error {
		if key, err = findKey(ctx, r, p, idOrHandle); err != nil {
			return err
		}
		c, err := loadChain(ctx, r, key)
		if err != nil {
			return err
		}
		grant = c.principal([32]byte{}, 0).of().grant
		return nil
	})
	return key, grant, err
}
