package keys

import (
	"reflect"
	"slices"
	"sync"
	"time"
)

// cache keeps compiled principals by the hash of their secret, and for a while
// the hashes that are known to count for nothing. A change drops what it
// touches; a load that began before a change is never kept.
type cache struct {
	limit int

	mu      sync.RWMutex
	entries map[[32]byte]*identity
	tagged  map[string]identities // by the ids of tenants and keys that they hang on
	tenants map[string]*Tenant    // those of the entries, by id: one for all of a tenant's
	unknown map[[32]byte]struct{}
	moment  uint64            // counts the batches of changes
	changed map[string]uint64 // id of a tenant or key -> moment of its last change
	cleared uint64            // loads that began before this moment are not kept
}

const (
	maxUnknown = 10_000
	maxChanged = 10_000
)

func newCache(limit int) *cache {
	return &cache{
		limit: limit, entries: map[[32]byte]*identity{}, tagged: map[string]identities{}, tenants: map[string]*Tenant{},
		unknown: map[[32]byte]struct{}{}, changed: map[string]uint64{},
	}
}

// find answers a principal that counts at now, or that there is none: bad tells
// a credential that is known not to count from one that must be looked up.
func (c *cache) find(hash [32]byte, now time.Time) (p Principal, ok, bad bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if is := c.entries[hash]; is != nil {
		p = Principal{is}
		return p, true, p.expired(now)
	}
	_, bad = c.unknown[hash]
	return Principal{}, false, bad
}

// size is how many principals are kept, and credentials that count for nothing.
func (c *cache) size() (entries, unknown int) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.entries), len(c.unknown)
}

// mark is to be taken before a load begins.
func (c *cache) mark() uint64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.moment
}

// put keeps a principal, unless something it depends on has changed since the mark.
// Nobody else has it yet.
func (c *cache) put(mark uint64, p Principal) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cleared > mark {
		return false
	}
	is := p.of()
	for tag := range is.tags {
		if c.changed[tag] > mark {
			return false
		}
	}
	for _, other := range c.entries {
		if len(c.entries) < c.limit {
			break
		}
		c.remove(other)
	}
	c.remove(c.entries[is.hash])
	if known := c.tenants[is.tenant.ID]; known != nil && reflect.DeepEqual(known, is.tenant) {
		is.tenant = known
	}
	c.tenants[is.tenant.ID] = is.tenant
	c.entries[is.hash] = is
	for tag := range is.tags {
		c.tagged[tag] = c.tagged[tag].with(is)
	}
	return true
}

// putUnknown notes a hash that counts for nothing, unless anything changed.
func (c *cache) putUnknown(mark uint64, hash [32]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.moment > mark {
		return
	}
	if len(c.unknown) >= maxUnknown {
		clear(c.unknown)
	}
	c.unknown[hash] = struct{}{}
}

// drop applies a batch of changes: one of a key drops what hangs on that key,
// any other what belongs to the tenant.
func (c *cache) drop(changes []Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.moment++
	clear(c.unknown)
	for _, change := range changes {
		tag := change.TenantID
		if change.Kind == ChangeKey {
			tag = change.ID
		}
		c.changed[tag] = c.moment
		for _, is := range slices.Collect(c.tagged[tag].all) {
			c.remove(is)
		}
	}
	if len(c.changed) > maxChanged {
		clear(c.changed)
		c.cleared = c.moment
	}
}

// dropAll is for when it is not known what changed.
func (c *cache) dropAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.moment++
	c.cleared = c.moment
	clear(c.unknown)
	clear(c.entries)
	clear(c.tagged)
	clear(c.tenants)
}

func (c *cache) remove(is *identity) {
	if is == nil {
		return
	}
	delete(c.entries, is.hash)
	for tag := range is.tags {
		if left := c.tagged[tag].without(is); left.empty() {
			delete(c.tagged, tag)
			delete(c.tenants, tag)
		} else {
			c.tagged[tag] = left
		}
	}
}

// tags are the ids of what it hangs on: its tenant, the key and its ancestors.
func (is *identity) tags(yield func(string) bool) {
	if !yield(is.tenant.ID) {
		return
	}
	for _, id := range is.chain {
		if !yield(id) {
			return
		}
	}
}

// identities is a set of them. On most keys hangs one, for which a map would be
// larger than all else that is kept of it.
type identities struct {
	one  *identity
	more map[*identity]struct{} // without one
}

func (s identities) empty() bool { return s.one == nil }

func (s identities) with(is *identity) identities {
	switch {
	case s.one == nil || s.one == is:
		s.one = is
	case s.more == nil:
		s.more = map[*identity]struct{}{is: {}}
	default:
		s.more[is] = struct{}{}
	}
	return s
}

func (s identities) without(is *identity) identities {
	delete(s.more, is)
	if s.one != is {
		return s
	}
	s.one = nil
	for next := range s.more {
		s.one = next
		delete(s.more, next)
		break
	}
	return s
}

// all are its members, none of which may be taken out on the way.
func (s identities) all(yield func(*identity) bool) {
	if s.one == nil || !yield(s.one) {
		return
	}
	for is := range s.more {
		if !yield(is) {
			return
		}
	}
}
