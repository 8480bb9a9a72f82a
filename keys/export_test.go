package keys

// Known is how many hosts it remembers.
func (l *HostLimit) Known() int { return len(l.hosts) }
