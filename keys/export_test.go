package keys

import "context"

// Known is how many hosts it remembers.
func (l *HostLimit) Known() int { return len(l.hosts) }

// FlushTrail writes the entries that wait.
func FlushTrail(ctx context.Context, s *Service) error { return s.flushTrail(ctx) }
