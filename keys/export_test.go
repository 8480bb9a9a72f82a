package keys

import "context"

// Known is how many hosts it remembers.
func (l *HostLimit) Known() int { return len(l.hosts) }

// Sweep forgets what has expired, as Run does now and then.
func Sweep(ctx context.Context, s *Service) error { return s.sweep(ctx) }
