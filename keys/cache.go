package keys

import (
	"sync"
	"time"
)

// cache keeps compiled principals by the hash of their secret, and for a while
// the hashes that are known to count for nothing. A change drops what it
// touches; a load that began before a change is never kept.
type cache struct {
	limit int

	mu      sync.RWMutex
	entries map[[32]byte]Principal
	tagged  map[string]map[[32]byte]struct{} // ids of tenants and keys -> entries
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
		limit: limit, entries: map[[32]byte]Principal{}, tagged: map[string]map[[32]byte]struct{}{},
		unknown: map[[32]byte]struct{}{}, changed: map[string]uint64{},
	}
}

// find answers a principal that counts at now, or that there is none: bad tells
// a credential that is known not to count from one that must be looked up.
func (c *cache) find(hash [32]byte, now time.Time) (p Principal, ok, bad bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if p, ok = c.entries[hash]; ok {
		return p, true, p.expired(now)
	}
	_, bad = c.unknown[hash]
	return Principal{}, false, bad
}

// mark is to be taken before a load begins.
func (c *cache) mark() uint64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.moment
}

// put keeps a principal, unless something it depends on has changed since the mark.
func (c *cache) put(mark uint64, p Principal) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cleared > mark {
		return false
	}
	for _, tag := range c.tags(p) {
		if c.changed[tag] > mark {
			return false
		}
	}
	for hash := range c.entries {
		if len(c.entries) < c.limit {
			break
		}
		c.remove(hash)
	}
	c.entries[p.hash] = p
	for _, tag := range c.tags(p) {
		if c.tagged[tag] == nil {
			c.tagged[tag] = map[[32]byte]struct{}{}
		}
		c.tagged[tag][p.hash] = struct{}{}
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
		for hash := range c.tagged[tag] {
			c.remove(hash)
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
}

func (c *cache) tags(p Principal) []string { return append([]string{p.tenant.ID}, p.chain...) }

func (c *cache) remove(hash [32]byte) {
	p, ok := c.entries[hash]
	if !ok {
		return
	}
	delete(c.entries, hash)
	for _, tag := range c.tags(p) {
		delete(c.tagged[tag], hash)
		if len(c.tagged[tag]) == 0 {
			delete(c.tagged, tag)
		}
	}
}
