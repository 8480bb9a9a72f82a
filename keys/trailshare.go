package keys

// shares is whose entries wait to be written, in memory and in the spool. Entries
// that another process has left there are nobody's.
type shares struct {
	all     int64
	of      map[string]int64 // by tenant; none is 0
	first   string           // the first tenant that was seen
	several bool             // others were, too
	scarce  bool             // little room is left in the spool
}

// freeParts: a part of all room is for tenants that have less than their share.
const freeParts = 4

// seen notes that there is a tenant. While there is one alone, all room is its.
func (s *shares) seen(tenantID string) {
	if s.first == "" {
		s.first = tenantID
	}
	s.several = s.several || s.first != tenantID
}

func (s *shares) add(tenantID string) {
	if s.of == nil {
		s.of = map[string]int64{}
	}
	s.seen(tenantID)
	s.all++
	s.of[tenantID]++
}

// written takes entries out that wait no more.
func (s *shares) written(entries []AuditEntry) {
	for i := range entries {
		id := entries[i].TenantID
		if s.of[id] == 0 { // nobody's, or written already by a batch that did not answer
			continue
		}
		s.all--
		if s.of[id]--; s.of[id] == 0 {
			delete(s.of, id)
		}
	}
}

// beyond tells whether a tenant has more than its share: as much as each would
// have, with one that comes yet.
func (s *shares) beyond(tenantID string) bool {
	return s.of[tenantID]*int64(len(s.of)+1) > s.all
}

// crowded tells whether a tenant is to leave the room that there is to others: else
// one that brings entries faster than the store takes them would have all be refused.
func (t *trail) crowded(tenantID string, spool bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.shares.seen(tenantID)
	scarce := t.shares.scarce
	if !spool || t.problem != nil { // then all that there is is memory
		scarce = scarce || len(t.waiting) >= trailLimit-trailLimit/freeParts
	}
	return scarce && t.running && t.shares.several && t.shares.beyond(tenantID)
}

// measure looks how much room the spool has.
func (t *trail) measure(s SpoolState) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.shares.scarce = s.Bytes >= s.Limit-s.Limit/freeParts
}
