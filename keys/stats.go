package keys

import (
	"sync/atomic"
	"time"
)

// Stats is what a Service has done and how it stands, for metrics. It holds no
// id, name or secret.
type Stats struct {
	State StateStats
	Edits EditStats
	Cache CacheStats
	Audit AuditStats
}

// StateStats is how well this process knows the store's state.
type StateStats struct {
	Fresh        bool          // it may decide
	Age          time.Duration // since the state was last confirmed
	MaxStaleness time.Duration
	Applied      int64  // the last edit that is in force here
	Known        int64  // the last edit that the store was seen to have
	Heard        bool   // edits are notified, and not only polled for
	Replicas     int    // processes that decide, this one included, as last seen
	Lapsed       uint64 // replicas that this process found without a sign of life
}

// EditStats is of the edits that this process has made.
type EditStats struct {
	Waited      DurationsSnapshot // for the other replicas, after the commit
	Unconfirmed uint64            // replicas that had not confirmed an edit when it answered
}

// CacheStats is of the principals that are kept.
type CacheStats struct {
	Entries, Unknown int    // kept, and credentials known not to count
	Hits, Misses     uint64 // of authentications
	Loads            uint64 // from the store: a miss takes another where an edit came between
}

// AuditStats is of the audit entries of calls and decisions.
type AuditStats struct {
	AuditState
	Flushed DurationsSnapshot // how long each batch took to be written
}

// counters are what Stats can't read off anything.
type counters struct {
	known       atomic.Int64
	replicas    atomic.Int64
	lapsed      atomic.Uint64
	waited      Durations
	unconfirmed atomic.Uint64
	hits        atomic.Uint64
	misses      atomic.Uint64
	loads       atomic.Uint64
	flushed     Durations
}

// Stats reads them. Nothing waits for it.
func (s *Service) Stats() Stats {
	c := &s.counters
	applied, confirmed := s.Confirmed()
	st := Stats{
		State: StateStats{
			Fresh: s.Fresh() == nil, Age: max(since(confirmed, s.cfg.Now()), 0), MaxStaleness: s.cfg.MaxStaleness,
			Applied: applied, Known: max(c.known.Load(), applied), Heard: s.feed.hearing.Load(),
			Replicas: int(c.replicas.Load()), Lapsed: c.lapsed.Load(),
		},
		Edits: EditStats{Waited: c.waited.Snapshot(), Unconfirmed: c.unconfirmed.Load()},
		Cache: CacheStats{Hits: c.hits.Load(), Misses: c.misses.Load(), Loads: c.loads.Load()},
		Audit: AuditStats{Flushed: c.flushed.Snapshot()},
	}
	st.Cache.Entries, st.Cache.Unknown = s.cache.size()
	st.Audit.AuditState = s.AuditState()
	return st
}
